/* SPDX-License-Identifier: AGPL-3.0-only */

/* The harness is tested from outside: this program runs itself with subjects that pass, fail, hang. */

#include "base/check.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

static void subject_passes(void)
{
    check_int(1, 1);
}

static void subject_fails(void)
{
    check_case("row %d", 7);
    check_int(1, 2);
    check_str("a\n", "b\"");
    check_str(NULL, "b");
    check_has("haystack", "needle");
    check_str("same\nleft\n", "same\nright\n");
    printf("# went on\n");
}

static void subject_stops(void)
{
    need_true(1 == 2);
    printf("# went on\n");
}

static void subject_checks_nothing(void) {}

static void subject_skips(void)
{
    check_skip("no %s here", "kvm");
}

static void subject_fails_then_skips(void)
{
    check_true(false);
    check_skip("too late");
}

static void subject_hangs(void)
{
    check_timeout(1);
    check_true(true);
    for (;;)
        pause();
}

static void subject_crashes(void)
{
    check_true(true);
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}

static void subject_makes_a_folder(void)
{
    const char *dir = check_tmpdir(), *other = check_tmpdir();
    CLEANUP_FREE char *inner = xasprintf("%s/inner", dir);

    check_true(strcmp(dir, other) != 0);
    check_int(mkdir(inner, 0700), 0);
    printf("# %s\n", dir);
}

static void subject_waits(void)
{
    int n = 0;

    check_within(1000, ++n == 3);
    check_within(20, n == 4);
}

static void subject_compares_with_a_file(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/golden", check_tmpdir());

    check_golden("text\n", path); /* absent */
    setenv("CHECK_REGEN", "1", 1);
    check_true(check_golden("text\n", path));
    unsetenv("CHECK_REGEN");
    check_true(check_golden("text\n", path));
    check_golden("other\n", path);
    free(check_read("/no/such", NULL));
    printf("# went on\n");
}

static void __attribute__((constructor)) register_subjects(void)
{
    if (!getenv("CHECK_SUBJECTS"))
        return;
    check_register("x_passes", subject_passes);
    check_register("x_fails", subject_fails);
    check_register("x_stops", subject_stops);
    check_register("x_checks_nothing", subject_checks_nothing);
    check_register("x_skips", subject_skips);
    check_register("x_fails_then", subject_fails_then_skips);
    check_register("x_hangs", subject_hangs);
    check_register("x_crashes", subject_crashes);
    check_register("x_makes_a_folder", subject_makes_a_folder);
    check_register("x_waits", subject_waits);
    check_register("x_compares", subject_compares_with_a_file);
}

/* Runs the subjects `a` and `b` (or NULL); returns the status of waitpid(). */
static int run_subjects(const char *a, const char *b, char **ret_output)
{
    CLEANUP_BUF struct buf out = BUF_INIT(64 << 10);
    int pipe_fds[2], status = 0;
    char chunk[1024];
    ssize_t n;
    pid_t pid;

    need_true(pipe(pipe_fds) == 0);
    pid = fork();
    need_true(pid >= 0);
    if (pid == 0) {
        setenv("CHECK_SUBJECTS", "1", 1);
        dup2(pipe_fds[1], STDOUT_FILENO);
        execl("/proc/self/exe", "check_test", a, b, (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], chunk, sizeof(chunk))) > 0)
        buf_add(&out, chunk, (size_t)n);
    close(pipe_fds[0]);
    need_true(waitpid(pid, &status, 0) == pid);
    *ret_output = buf_steal(&out);
    return status;
}

TEST(a_program_that_passes_prints_the_plan_last)
{
    CLEANUP_FREE char *out = NULL;
    int status = run_subjects("x_passes", NULL, &out);

    check_true(WIFEXITED(status));
    check_int(WEXITSTATUS(status), 0);
    check_has(out, "TAP version 14\nok 1 - x_passes # time=");
    check_has(out, "ms\n1..1\n");
}

TEST(a_failure_shows_place_row_and_both_values_and_the_test_goes_on)
{
    CLEANUP_FREE char *out = NULL;
    int status = run_subjects("x_fails", "x_passes", &out);

    check_int(WEXITSTATUS(status), 1);
    check_has(out, "# base/check_test.c:");
    check_has(out, ": [row 7] 1: got 1, want 2\n");
    check_has(out, "got \"a\\n\", want \"b\\\"\"\n");
    check_has(out, "got NULL, want \"b\"\n");
    check_has(out, "got \"haystack\", want it to contain \"needle\"\n");
    check_has(out, "in line 2: got \"left\\n\", want \"right\\n\"\n");
    check_has(out, "# went on\nnot ok 2 - x_fails # time=");
    check_has(out, "ok 1 - x_passes");
}

TEST(need_stops_the_test)
{
    CLEANUP_FREE char *out = NULL;

    check_int(WEXITSTATUS(run_subjects("x_stops", NULL, &out)), 1);
    check_has(out, "failed: 1 == 2\nnot ok 1 - x_stops");
    check_true(!strstr(out, "went on"));
}

TEST(a_test_that_checks_nothing_fails)
{
    CLEANUP_FREE char *out = NULL;

    check_int(WEXITSTATUS(run_subjects("x_checks_nothing", NULL, &out)), 1);
    check_has(out, "not ok 1 - x_checks_nothing");
}

TEST(a_skip_is_reported_and_is_no_pass_when_nothing_else_ran)
{
    CLEANUP_FREE char *alone = NULL, *mixed = NULL, *failed = NULL;

    check_int(WEXITSTATUS(run_subjects("x_skips", NULL, &alone)), 77);
    check_has(alone, "ok 1 - x_skips # SKIP no kvm here\n1..1\n");
    check_int(WEXITSTATUS(run_subjects("x_skips", "x_passes", &mixed)), 0);
    check_int(WEXITSTATUS(run_subjects("x_fails_then", NULL, &failed)), 1);
    check_has(failed, "not ok 1 - x_fails_then");
}

TEST(a_hang_is_ended_by_the_watchdog)
{
    CLEANUP_FREE char *out = NULL;
    int64_t start = check_now_ms();
    int status = run_subjects("x_hangs", "x_passes", &out);

    check_int(WEXITSTATUS(status), 1);
    check_has(out, "not ok 2 - x_hangs # time=timeout\nBail out! x_hangs ran out of its time\n");
    check_true(check_now_ms() - start < 10000);
}

TEST(a_crash_shows_in_the_exit_status_and_leaves_the_lines_before_it)
{
    CLEANUP_FREE char *out = NULL;
    int status = run_subjects("x_passes", "x_crashes", &out);

    check_true(WIFSIGNALED(status));
    check_has(out, "ok 1 - x_passes");
    check_true(!strstr(out, "1.."));
}

TEST(the_folders_of_the_tests_are_removed)
{
    CLEANUP_FREE char *out = NULL;
    char *dir = NULL;

    check_int(WEXITSTATUS(run_subjects("x_makes_a_folder", NULL, &out)), 0);
    dir = strstr(out, "# /");
    need_true(dir);
    dir += 2;
    dir[strcspn(dir, "\n")] = '\0';
    check_true(access(dir, F_OK) < 0);
}

TEST(a_text_is_compared_with_a_file_or_written_to_it_on_request)
{
    CLEANUP_FREE char *out = NULL;
    int failures = 0;

    check_int(WEXITSTATUS(run_subjects("x_compares", NULL, &out)), 1);
    for (const char *at = out; (at = strstr(at, "# base/")); at++)
        failures++;
    check_int(failures, 3);
    check_has(out, "/golden: got \"other\\n\", want \"text\\n\"\n");
    check_has(out, "cannot read /no/such");
    check_true(!strstr(out, "went on"));
}

TEST(waiting_ends_early_when_the_condition_holds_and_fails_when_it_does_not)
{
    CLEANUP_FREE char *out = NULL;

    check_int(WEXITSTATUS(run_subjects("x_waits", NULL, &out)), 1);
    check_has(out, "failed: n == 4 within 20 ms\n");
    check_true(!strstr(out, "++n"));
}

TEST(a_name_that_matches_nothing_is_a_failure)
{
    CLEANUP_FREE char *out = NULL;

    check_int(WEXITSTATUS(run_subjects("x_nonesuch", NULL, &out)), 1);
}

TEST(the_list_names_every_test)
{
    CLEANUP_FREE char *out = NULL;

    check_int(WEXITSTATUS(run_subjects("-l", NULL, &out)), 0);
    check_has(out, "the_list_names_every_test\n");
    check_has(out, "x_hangs\n");
}

CHECK_MAIN()
