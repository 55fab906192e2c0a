/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: the file only grows. An entry is a line {"note":ID,...}, and a line
 * {"done":ID} crosses it out. Each line is one write to an O_APPEND file, synced before the call
 * returns; the first line stands there from the moment on that the file has its name. So a reader
 * sees a prefix of what was promised, and at most one cut line, whose promise was never made.
 */

#include "rig/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "base/mem.h"

struct ledger {
    char *path;
    int fd;
    uint64_t last_id;
    pthread_mutex_t lock;
};

/* --- Processes ------------------------------------------------------------------------------- */

/* State and start time by proc(5); false when there is no such process. The name in parentheses may
 * hold blanks and parentheses. */
static bool read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
    const char *at;

    if (pid <= 0 || file_read(path, 4096, &text, NULL, NULL) < 0 || !(at = strrchr(text, ')')))
        return false;
    return sscanf(at + 1,
                  " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%" SCNu64,
                  ret_state, ret_start) == 2;
}

uint64_t process_start(pid_t pid)
{
    uint64_t start = 0;
    char state = 0;

    return read_stat(pid, &state, &start) && state != 'Z' && state != 'X' ? start : 0;
}

static void read_boot(char boot[static 64])
{
    CLEANUP_FREE char *text = NULL;

    boot[0] = '\0';
    if (file_read("/proc/sys/kernel/random/boot_id", 4096, &text, NULL, NULL) >= 0)
        snprintf(boot, 64, "%.*s", (int)strcspn(text, "\n"), text);
}

bool ledger_of_this_boot(const struct ledger_page *p)
{
    char boot[64];

    read_boot(boot);
    return strcmp(boot, p->boot) == 0;
}

bool ledger_owner_lives(const struct ledger_page *p)
{
    return ledger_of_this_boot(p) && p->start != 0 && process_start(p->pid) == p->start;
}

/* --- Writing --------------------------------------------------------------------------------- */

static struct ledger *ledger_make(const char *path, int fd, uint64_t last_id)
{
    struct ledger *l = xcalloc(1, sizeof(*l));

    l->path = xstrdup(path);
    l->fd = fd;
    l->last_id = last_id;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static char *first_line(void)
{
    CLEANUP_JSON json_t *head = NULL;
    CLEANUP_FREE char *text = NULL;
    char boot[64];

    read_boot(boot);
    head = json_pack("{s:i, s:i, s:I, s:s}", "ledger", LEDGER_VERSION, "pid", (int)getpid(),
                     "start", (json_int_t)process_start(getpid()), "boot", boot);
    text = json_text(head);
    return xasprintf("%s\n", text);
}

static int open_ledger(const char *path, int *ret, struct err **err)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_errno(err, errno, "opening the ledger %s", path);
    *ret = fd;
    return 0;
}

int ledger_new(const char *dir, struct ledger **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, dir), *line = first_line();
    int fd = -1, r;

    if (file_exists(path)) {
        r = err_new(err, EEXIST, "%s is there already", path);
        err_hint(err, "'rig heal' takes back what an earlier run left");
        return r;
    }
    if ((r = file_replace(path, line, strlen(line), 0600, err)) < 0 ||
        (r = open_ledger(path, &fd, err)) < 0)
        return r;
    *ret = ledger_make(path, fd, 0);
    return 0;
}

/* Cuts a last line without its end off. */
static int mend(int fd, const char *path, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = file_read_fd(fd, path, LEDGER_MAX, &text, &len, err);

    if (r < 0)
        return r;
    if (len == 0 || text[len - 1] == '\n')
        return 0;
    while (len > 0 && text[len - 1] != '\n')
        len--;
    return ftruncate(fd, (off_t)len) < 0 ? err_errno(err, errno, "mending %s", path) : 0;
}

int ledger_reopen(const char *dir, struct ledger **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, dir);
    CLEANUP_CLOSE int fd = -1;
    int r;

    if ((r = open_ledger(path, &fd, err)) < 0 || (r = mend(fd, path, err)) < 0)
        return r;
    /* Nothing is noted any more, so ids do not matter. */
    *ret = ledger_make(path, steal_fd(&fd), INT64_MAX);
    return 0;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    close(l->fd);
    pthread_mutex_destroy(&l->lock);
    free(l->path);
    free(l);
}

/* Under the lock. */
static int append(struct ledger *l, const json_t *line, struct err **err)
{
    int r = jsonl_append(l->fd, line);

    if (r >= 0 && fdatasync(l->fd) < 0)
        r = -errno;
    return r < 0 ? err_errno(err, -r, "writing the ledger %s", l->path) : 0;
}

static const char *const kinds[] = { "fault", "process", "machine", "folder", "mount" };

static json_t *note_of(const struct ledger_entry *e, uint64_t id)
{
    json_t *note =
            json_pack("{s:I, s:s, s:s, s:I}", "note", (json_int_t)id, "kind", kinds[e->kind],
                      "subject", e->subject ? e->subject : "", "at", (json_int_t)clock_wall_ms());

    if (note && e->place)
        json_object_set_new(note, "place", json_string(e->place));
    if (note && e->uuid)
        json_object_set_new(note, "uuid", json_string(e->uuid));
    if (note && e->pid) {
        json_object_set_new(note, "pid", json_integer(e->pid));
        json_object_set_new(note, "start", json_integer((json_int_t)e->start));
    }
    return note;
}

int ledger_note(struct ledger *l, const struct ledger_entry *entry, uint64_t *ret_id,
                struct err **err)
{
    CLEANUP_JSON json_t *note = NULL;
    uint64_t id;
    int r;

    if (!l) {
        if (ret_id)
            *ret_id = 0;
        return 0;
    }
    pthread_mutex_lock(&l->lock);
    id = l->last_id + 1;
    if (!(note = note_of(entry, id)))
        r = err_new(err, EINVAL, "the ledger %s: what is to be noted is no UTF-8", l->path);
    else
        r = append(l, note, err);
    if (r == 0)
        l->last_id = id;
    pthread_mutex_unlock(&l->lock);
    if (r == 0 && ret_id)
        *ret_id = id;
    return r;
}

int ledger_fault(struct ledger *l, const char *sentence, uint64_t *ret_id, struct err **err)
{
    struct ledger_entry entry = { .kind = LEDGER_FAULT, .subject = (char *)sentence };

    return ledger_note(l, &entry, ret_id, err);
}

int ledger_process(struct ledger *l, const char *name, pid_t pid, uint64_t *ret_id,
                   struct err **err)
{
    struct ledger_entry entry = { .kind = LEDGER_PROCESS, .subject = (char *)name, .pid = pid };
    char state;

    if (l && !read_stat(pid, &state, &entry.start))
        return err_new(err, ESRCH, "there is no process %d (%s) to be noted", (int)pid, name);
    return ledger_note(l, &entry, ret_id, err);
}

int ledger_done(struct ledger *l, uint64_t id, struct err **err)
{
    CLEANUP_JSON json_t *done = json_pack("{s:I}", "done", (json_int_t)id);
    int r;

    if (!l || id == 0)
        return 0;
    pthread_mutex_lock(&l->lock);
    r = append(l, done, err);
    pthread_mutex_unlock(&l->lock);
    return r;
}

/* --- Reading --------------------------------------------------------------------------------- */

static void entry_done(struct ledger_entry *e)
{
    free(e->subject);
    free(e->place);
    free(e->uuid);
}

void ledger_page_done(struct ledger_page *p)
{
    for (size_t i = 0; i < p->n_open; i++)
        entry_done(&p->open[i]);
    free(p->open);
    *p = (struct ledger_page){ 0 };
}

struct parser {
    const char *name;
    struct jsonl lines;
    struct ledger_page page;
    size_t cap;
    uint64_t last_id;
};

static int damaged(const struct parser *p, struct err **err, const char *what)
{
    int r = err_new(err, EPROTO, "%s:%zu: damaged: %s", p->name, p->lines.line, what);

    err_hint(err, "end by hand what its run left, then remove the run's folder");
    return r;
}

/* A member that is to be an integer from 0 on; absent: 0. */
static bool number(const json_t *line, const char *name, json_int_t max, json_int_t *ret)
{
    const json_t *value = json_object_get(line, name);

    *ret = json_integer_value(value);
    return (!value || json_is_integer(value)) && *ret >= 0 && *ret <= max;
}

static bool text(const json_t *line, const char *name, char **ret)
{
    const json_t *value = json_object_get(line, name);

    *ret = xstrdup(json_string_value(value));
    return !value || *ret;
}

static bool kind_of(const char *word, enum ledger_kind *ret)
{
    for (size_t i = 0; word && i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i], word) == 0) {
            *ret = (enum ledger_kind)i;
            return true;
        }
    return false;
}

static int parse_note(struct parser *p, const json_t *line, struct err **err)
{
    struct ledger_entry e = { 0 };
    json_int_t id, pid, start, at;
    bool good = number(line, "note", INT64_MAX, &id) && number(line, "pid", INT32_MAX, &pid) &&
                number(line, "start", INT64_MAX, &start) && number(line, "at", INT64_MAX, &at) &&
                kind_of(json_path_str(line, "kind"), &e.kind) && (uint64_t)id > p->last_id;

    good = good && text(line, "subject", &e.subject) && text(line, "place", &e.place) &&
           text(line, "uuid", &e.uuid) && e.subject;
    if (!good) {
        entry_done(&e);
        return damaged(p, err, "no entry of a ledger");
    }
    e.id = p->last_id = (uint64_t)id;
    e.pid = (pid_t)pid;
    e.start = (uint64_t)start;
    e.wall_ms = at;
    p->page.open = grow(p->page.open, p->page.n_open, &p->cap, sizeof(*p->page.open));
    p->page.open[p->page.n_open++] = e;
    return 0;
}

/* Taking back may be told twice. */
static void cross_out(struct ledger_page *page, uint64_t id)
{
    for (size_t i = 0; i < page->n_open; i++) {
        if (page->open[i].id != id)
            continue;
        entry_done(&page->open[i]);
        memmove(&page->open[i], &page->open[i + 1], (page->n_open - i - 1) * sizeof(page->open[i]));
        page->n_open--;
        return;
    }
}

static int parse_line(struct parser *p, const json_t *line, struct err **err)
{
    json_int_t id;

    if (json_object_get(line, "note"))
        return parse_note(p, line, err);
    if (!json_object_get(line, "done") || !number(line, "done", INT64_MAX, &id))
        return damaged(p, err, "no entry of a ledger");
    cross_out(&p->page, (uint64_t)id);
    return 0;
}

static int parse_head(struct parser *p, const json_t *head, struct err **err)
{
    const char *boot = json_path_str(head, "boot");
    json_int_t version = json_path_int(head, "ledger", 0), pid, start;
    int r;

    if (version > 0 && version != LEDGER_VERSION) {
        r = err_new(err, EPROTO, "%s is of version %lld, this rig knows version %d", p->name,
                    (long long)version, LEDGER_VERSION);
        err_hint(err, "take back what its run left with the rig that made it");
        return r;
    }
    if (version <= 0)
        return err_new(err, EPROTO, "%s is no ledger", p->name);
    if (!boot || !number(head, "pid", INT32_MAX, &pid) || !number(head, "start", INT64_MAX, &start))
        return damaged(p, err, "no owner");
    p->page.pid = (pid_t)pid;
    p->page.start = (uint64_t)start;
    snprintf(p->page.boot, sizeof(p->page.boot), "%s", boot);
    return 0;
}

static int parse_lines(struct parser *p, struct err **err)
{
    int r;

    for (;;) {
        CLEANUP_ERR struct err *why = NULL;
        CLEANUP_JSON json_t *line = NULL;

        r = jsonl_next(&p->lines, p->name, &line, &why);
        if (r < 0 && p->lines.line > 1)
            return damaged(p, err, "no JSON");
        if (r < 0 || (r == 0 && p->lines.line == 0))
            return err_new(err, EPROTO, "%s is no ledger", p->name);
        if (r == 0)
            return 0;
        r = p->lines.line == 1 ? parse_head(p, line, err) : parse_line(p, line, err);
        if (r < 0)
            return r;
    }
}

int ledger_parse(const char *name, const char *data, size_t len, struct ledger_page *ret,
                 struct err **err)
{
    struct parser p = { .name = name, .lines = { .at = data, .left = len } };
    int r = parse_lines(&p, err);

    if (r < 0)
        ledger_page_done(&p.page);
    else
        *ret = p.page;
    return r;
}

int ledger_read(const char *path, struct ledger_page *ret, struct err **err)
{
    CLEANUP_FREE char *data = NULL;
    size_t len = 0;
    int r = file_read(path, LEDGER_MAX, &data, &len, err);

    return r < 0 ? r : ledger_parse(path, data, len, ret, err);
}
