/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. Tests register before main() runs and are called one after the other in one
 * process. A failed check prints a diagnostic at once and is counted; the test's own line follows
 * when it is done. need_*() and check_skip() leave the test by siglongjmp(). alarm() is the
 * watchdog: a test that hangs cannot be left in a sound state, so the handler says `not ok` and
 * ends the program. A crash shows in the exit status, and in the last line that was printed:
 * stdout is flushed line by line.
 */

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/strv.h"

enum leave { LEAVE_NOT, LEAVE_ABORT, LEAVE_SKIP };

struct test {
    const char *name;
    void (*fn)(void);
};

static struct test *tests;
static size_t n_tests, cap_tests;
static char **tmpdirs;

/* The running test. Checks may run in its threads; leaving it may not. */
static struct {
    sigjmp_buf leave;
    atomic_uint checks, failures;
    char *row;         /* check_case() */
    char *skip_reason; /* check_skip() */
    char hung[512];    /* what the watchdog prints, made beforehand */
} run;

void check_register(const char *name, void (*fn)(void))
{
    tests = grow(tests, n_tests, &cap_tests, sizeof(*tests));
    tests[n_tests++] = (struct test){ .name = name, .fn = fn };
}

static void __attribute__((format(printf, 2, 0))) set_text(char **dst, const char *fmt, va_list ap)
{
    free(*dst);
    if (vasprintf(dst, fmt, ap) < 0)
        abort();
}

void check_case(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(&run.row, fmt, ap);
    va_end(ap);
}

void check_skip(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(&run.skip_reason, fmt, ap);
    va_end(ap);
    siglongjmp(run.leave, LEAVE_SKIP);
}

void check_abort(void)
{
    siglongjmp(run.leave, LEAVE_ABORT);
}

/* --- checks ------------------------------------------------------------------------------- */

/* A line "# file:line: [row] text". */
static void __attribute__((format(printf, 3, 4))) fail(const char *file, int line, const char *fmt,
                                                       ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
    va_list ap;

    atomic_fetch_add(&run.failures, 1);
    buf_addf(&text, "# %s:%d: ", file, line);
    if (run.row)
        buf_addf(&text, "[%s] ", run.row);
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    printf("%s\n", buf_str(&text));
}

/* In quotes and on one line. */
static void add_quoted(struct buf *b, const char *s, size_t len)
{
    if (!s) {
        buf_adds(b, "NULL");
        return;
    }
    buf_addc(b, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '\n')
            buf_adds(b, "\\n");
        else if (c == '"' || c == '\\')
            buf_addf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_addf(b, "\\x%02x", c);
        else
            buf_addc(b, (char)c);
    }
    buf_addc(b, '"');
}

static char *quoted(const char *s)
{
    CLEANUP_BUF struct buf b = BUF_INIT(16 << 10);

    add_quoted(&b, s, s ? strlen(s) : 0);
    return buf_steal(&b);
}

/* Of two texts of many lines the first line that differs says more than both texts. */
static char *differing_line(const char *got, const char *want)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4 << 10);
    size_t line = 1;

    for (;;) {
        size_t n = strcspn(got, "\n"), m = strcspn(want, "\n");

        if (n != m || memcmp(got, want, n) != 0 || got[n] != want[m] || !got[n]) {
            buf_addf(&b, "in line %zu: got ", line);
            add_quoted(&b, got, n + (got[n] == '\n'));
            buf_adds(&b, ", want ");
            add_quoted(&b, want, m + (want[m] == '\n'));
            return buf_steal(&b);
        }
        got += n + 1;
        want += m + 1;
        line++;
    }
}

bool check_true_at(const char *file, int line, bool ok, const char *text)
{
    atomic_fetch_add(&run.checks, 1);
    if (!ok)
        fail(file, line, "failed: %s", text);
    return ok;
}

bool check_int_at(const char *file, int line, int64_t got, int64_t want, const char *text)
{
    atomic_fetch_add(&run.checks, 1);
    if (got != want)
        fail(file, line, "%s: got %jd, want %jd", text, (intmax_t)got, (intmax_t)want);
    return got == want;
}

bool check_str_at(const char *file, int line, const char *got, const char *want, const char *text)
{
    atomic_fetch_add(&run.checks, 1);
    if (str_eq(got, want))
        return true;
    if (got && want && strchr(want, '\n') && strchr(want, '\n')[1]) {
        CLEANUP_FREE char *where = differing_line(got, want);

        fail(file, line, "%s: %s", text, where);
    } else {
        CLEANUP_FREE char *g = quoted(got), *w = quoted(want);

        fail(file, line, "%s: got %s, want %s", text, g, w);
    }
    return false;
}

bool check_has_at(const char *file, int line, const char *got, const char *part, const char *text)
{
    CLEANUP_FREE char *g = NULL, *p = NULL;

    atomic_fetch_add(&run.checks, 1);
    if (got && part && strstr(got, part))
        return true;
    g = quoted(got);
    p = quoted(part);
    fail(file, line, "%s: got %s, want it to contain %s", text, g, p);
    return false;
}

/* --- files -------------------------------------------------------------------------------- */

static char *read_all(const char *path, size_t *ret_len)
{
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    CLEANUP_BUF struct buf b = BUF_INIT(64 << 20);
    char chunk[4096];
    size_t n;

    if (!f)
        return NULL;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    if (ferror(f) || b.overflow)
        return NULL;
    if (ret_len)
        *ret_len = b.len;
    return buf_steal(&b);
}

char *check_read(const char *path, size_t *ret_len)
{
    char *text = read_all(path, ret_len);

    if (!text) {
        fail(__FILE__, __LINE__, "cannot read %s (tests run in the root of the source tree): %s",
             path, strerror(errno));
        check_abort();
    }
    return text;
}

bool check_golden_at(const char *file, int line, const char *got, const char *path)
{
    CLEANUP_FREE char *want = NULL;
    const char *regen = getenv("CHECK_REGEN");

    if (got && regen && *regen) {
        CLEANUP_FCLOSE FILE *f = fopen(path, "we");

        return check_true_at(file, line, f && fputs(got, f) >= 0 && fflush(f) == 0, path);
    }
    want = read_all(path, NULL);
    if (!want)
        return check_true_at(file, line, false, path);
    return check_str_at(file, line, got, want, path);
}

const char *check_tmpdir(void)
{
    const char *base = getenv("TMPDIR");
    CLEANUP_FREE char *path = xasprintf("%s/check.XXXXXX", base && *base ? base : "/tmp");

    if (!mkdtemp(path)) {
        fail(__FILE__, __LINE__, "cannot make %s: %s", path, strerror(errno));
        check_abort();
    }
    strv_add(&tmpdirs, path);
    return tmpdirs[strv_len(tmpdirs) - 1];
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (kind == FTW_DNR)
        chmod(path, 0700);
    return remove(path) < 0 ? -1 : 0;
}

static void remove_tmpdirs(void)
{
    for (size_t i = 0; tmpdirs && tmpdirs[i]; i++)
        if (nftw(tmpdirs[i], remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
            printf("# cannot remove %s: %s\n", tmpdirs[i], strerror(errno));
    strv_free(tmpdirs);
    tmpdirs = NULL;
}

/* --- time --------------------------------------------------------------------------------- */

int64_t check_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void check_pause(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000000 }, NULL);
}

static void on_alarm(int signo)
{
    (void)signo;
    if (write(STDOUT_FILENO, run.hung, strlen(run.hung)) < 0)
        _exit(2);
    _exit(1);
}

void check_timeout(int seconds)
{
    alarm((unsigned)seconds);
}

static int default_timeout(void)
{
    const char *s = getenv("CHECK_TIMEOUT_S");
    char *end = NULL;
    long n = s ? strtol(s, &end, 10) : 0;

    return s && *end == '\0' && n > 0 && n < 86400 ? (int)n : 60;
}

/* --- the program -------------------------------------------------------------------------- */

enum outcome { PASSED, FAILED, SKIPPED };

static enum outcome run_one(const struct test *t, size_t number)
{
    int64_t start = check_now_ms();
    volatile enum leave left = LEAVE_NOT;

    atomic_store(&run.checks, 0);
    atomic_store(&run.failures, 0);
    snprintf(run.hung, sizeof(run.hung),
             "not ok %zu - %s # time=timeout\nBail out! %s ran out of its time\n", number, t->name,
             t->name);

    alarm((unsigned)default_timeout());
    left = (enum leave)sigsetjmp(run.leave, 1);
    if (left == LEAVE_NOT)
        t->fn();
    alarm(0);

    replace_str(&run.row, NULL);
    if (left == LEAVE_SKIP && !atomic_load(&run.failures)) {
        printf("ok %zu - %s # SKIP %s\n", number, t->name, run.skip_reason);
        return SKIPPED;
    }
    if (left == LEAVE_NOT && !atomic_load(&run.checks)) {
        printf("# %s checked nothing\n", t->name);
        atomic_fetch_add(&run.failures, 1);
    }
    printf("%s %zu - %s # time=%jdms\n", atomic_load(&run.failures) ? "not ok" : "ok", number,
           t->name, (intmax_t)(check_now_ms() - start));
    return atomic_load(&run.failures) ? FAILED : PASSED;
}

static bool selected(const char *name, char *const *parts)
{
    if (!*parts)
        return true;
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return true;
    return false;
}

int check_main(int argc, char **argv)
{
    struct sigaction hung = { .sa_handler = on_alarm };
    size_t n = 0, count[3] = { 0 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "-l") == 0) {
        for (size_t i = 0; i < n_tests; i++)
            printf("%s\n", tests[i].name);
        free(tests);
        return 0;
    }
    sigaction(SIGALRM, &hung, NULL);
    printf("TAP version 14\n");
    for (size_t i = 0; i < n_tests; i++)
        if (selected(tests[i].name, argc > 0 ? argv + 1 : argv))
            count[run_one(&tests[i], ++n)]++;
    printf("1..%zu\n", n);
    remove_tmpdirs();
    replace_str(&run.skip_reason, NULL);
    free(tests);
    tests = NULL;

    if (count[FAILED] || n == 0)
        return 1;
    return count[SKIPPED] == n ? 77 : 0;
}
