/* SPDX-License-Identifier: AGPL-3.0-only */

/* The children of many_run() are this program again, as those of the rig are the rig: main() plays the
 * part of the scenario that it is told. */

#include "rig/cmd/many.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define MEMORY_MB INT64_C(256)

static volatile sig_atomic_t stop, terminated;

/* --- The parts ------------------------------------------------------------------------------- */

static void on_term(int number)
{
    (void)number;
    terminated = 1;
}

static void write_mark(const char *folder, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);

    file_write(path, "", 0, 0600, NULL);
}

/* A run with this result, as the rig leaves it. */
static void leave_history(const char *folder, const char *scenario, enum result result)
{
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", folder);
    struct history_run run = { .scenario = (char *)scenario };
    struct run_result steps = { 0 };
    struct history_writer *w = NULL;

    if (history_begin(path, &run, &w, NULL) < 0)
        return;
    run_result_add(&steps, "only step", result, 5, result == RESULT_FAILED ? "no" : NULL);
    history_result(w, &steps);
    history_end(w, result, 10, 1, 1, NULL, NULL);
    run_result_done(&steps);
}

/* Ends when it is told to. */
static int wait_for_term(const char *folder)
{
    struct sigaction action = { .sa_handler = on_term };

    sigaction(SIGTERM, &action, NULL);
    write_mark(folder, "waits");
    while (!terminated)
        poll(NULL, 0, 20);
    write_mark(folder, "terminated");
    return RIG_TERM;
}

static int play(const char *scenario, const char *folder)
{
    printf("%s begins\n", scenario);
    fflush(stdout);
    if (str_starts(scenario, "waits"))
        return wait_for_term(folder);
    if (str_starts(scenario, "dies")) {
        printf("oh no\n");
        fflush(stdout);
        raise(SIGKILL);
    }
    if (str_starts(scenario, "no-lab")) {
        leave_history(folder, scenario, RESULT_FAILED);
        return RIG_NO_LAB;
    }
    leave_history(folder, scenario, str_starts(scenario, "fails") ? RESULT_FAILED : RESULT_PASSED);
    return str_starts(scenario, "fails") ? RIG_FAILED : RIG_PASSED;
}

static const char *option(char **argv, const char *name)
{
    CLEANUP_FREE char *prefix = xasprintf("--%s=", name);

    for (; *argv; argv++)
        if (str_starts(*argv, prefix))
            return *argv + strlen(prefix);
    return "";
}

/* --- The tests ------------------------------------------------------------------------------- */

struct bench {
    const char *dir;
    struct scenario scenarios[8];
    struct many_job jobs[8];
    struct many_config config;
    struct outcomes outcomes;
    char *said;
    size_t said_len;
    FILE *out;
};

static void bench_init(struct bench *b, char *const *names)
{
    static char run[] = "run", *const argv[] = { run, NULL };
    size_t n = 0;

    *b = (struct bench){ .dir = check_tmpdir() };
    b->out = open_memstream(&b->said, &b->said_len);
    for (; names[n]; n++) {
        b->scenarios[n] = (struct scenario){
            .name = names[n], .slug = names[n], .path = names[n], .n_devices = 1
        };
        b->jobs[n].scenario = &b->scenarios[n];
    }
    stop = 0;
    b->config = (struct many_config){
        .jobs = b->jobs,
        .n_jobs = n,
        .rounds = 1,
        .argv = argv,
        .runs_dir = b->dir,
        .host = { .cores = 8, .memory_mb = INT64_C(1) << 40 },
        .memory_mb = MEMORY_MB,
        .board = board_new(b->out, 0, 8),
        .stop = &stop,
    };
}

static void bench_run(struct bench *b)
{
    CLEANUP_ERR struct err *err = NULL;

    need_ok(many_run(&b->config, &b->outcomes, &err), err);
    fflush(b->out);
}

static void bench_done(struct bench *b)
{
    outcomes_done(&b->outcomes);
    board_free(b->config.board);
    fclose(b->out);
    free(b->said);
}

static bool left(const struct outcome *o, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", o->folder, name);

    return file_exists(path);
}

TEST(each_has_its_result_in_the_order_of_the_scenarios)
{
    struct bench b;

    bench_init(&b, ARGV("passes", "fails", "dies"));
    bench_run(&b);
    need_true(b.outcomes.n == 3);
    check_str(b.outcomes.items[0].scenario, "passes");
    check_int(b.outcomes.items[0].result, RESULT_PASSED);
    check_int(b.outcomes.items[1].result, RESULT_FAILED);
    check_str(b.outcomes.items[1].history->result.steps[0].failure, "no");
    check_int(outcomes_code(&b.outcomes), RIG_FAILED);
    check_has(b.said, "passes   | passes begins\n");
    check_has(b.said, "fails    | fails begins\n");
    bench_done(&b);
}

TEST(one_that_died_has_failed_with_its_last_words)
{
    const struct step_result *step;
    struct bench b;

    bench_init(&b, ARGV("dies"));
    bench_run(&b);
    need_true(b.outcomes.n == 1);
    check_int(b.outcomes.items[0].result, RESULT_FAILED);
    need_true(b.outcomes.items[0].history->result.n_steps == 1);
    step = &b.outcomes.items[0].history->result.steps[0];
    check_str(step->failure, "the run died; it said last:\ndies begins\noh no");
    bench_done(&b);
}

TEST(rounds_repeat_until_there_were_enough)
{
    struct bench b;

    bench_init(&b, ARGV("passes-1", "passes-2"));
    b.config.rounds = 3;
    bench_run(&b);
    check_int((int64_t)b.outcomes.n, 6);
    check_int((int64_t)outcomes_count(&b.outcomes, RESULT_PASSED), 6);
    check_int(outcomes_code(&b.outcomes), RIG_PASSED);
    bench_done(&b);
}

TEST(without_end_it_repeats_until_one_fails)
{
    struct bench b;

    bench_init(&b, ARGV("passes", "fails"));
    b.config.rounds = 0;
    b.config.until_fail = true;
    b.config.host.jobs = 1;
    bench_run(&b);
    check_int((int64_t)b.outcomes.n, 2);
    check_int(b.outcomes.items[1].result, RESULT_FAILED);
    bench_done(&b);
}

TEST(a_host_that_cannot_is_not_asked_again)
{
    struct bench b;

    bench_init(&b, ARGV("no-lab", "passes"));
    b.config.host.jobs = 1;
    bench_run(&b);
    check_int((int64_t)b.outcomes.n, 1);
    check_int(outcomes_code(&b.outcomes), RIG_NO_LAB);
    bench_done(&b);
}

static void stop_soon(int number)
{
    (void)number;
    stop = stop + 1;
}

TEST(an_interrupt_ends_all_of_them_and_waits)
{
    struct sigaction action = { .sa_handler = stop_soon }, before;
    struct bench b;
    pid_t pid;

    bench_init(&b, ARGV("waits-1", "waits-2"));
    sigaction(SIGUSR1, &action, &before);
    need_true((pid = fork()) >= 0);
    if (pid == 0) { /* sends the signals once both wait */
        poll(NULL, 0, 700);
        kill(getppid(), SIGUSR1);
        poll(NULL, 0, 50);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    bench_run(&b);
    waitpid(pid, NULL, 0);
    sigaction(SIGUSR1, &before, NULL);
    need_true(b.outcomes.n == 2);
    for (size_t i = 0; i < 2; i++) {
        check_int(b.outcomes.items[i].result, RESULT_INTERRUPTED);
        check_true(left(&b.outcomes.items[i], "terminated"));
    }
    check_has(b.said, "interrupted, taking down: waits-1, waits-2\n");
    bench_done(&b);
}

/* Whether a folder in `dir` holds `name`. */
static bool somewhere(const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    bool found = false;

    for (struct dirent *e; d && !found && (e = readdir(d));) {
        CLEANUP_FREE char *path = xasprintf("%s/%s/%s", dir, e->d_name, name);

        found = e->d_name[0] != '.' && file_exists(path);
    }
    if (d)
        closedir(d);
    return found;
}

TEST(a_child_takes_its_lab_down_when_its_rig_is_killed)
{
    struct bench b;
    pid_t pid;

    bench_init(&b, ARGV("waits"));
    need_true((pid = fork()) >= 0);
    if (pid == 0) {
        many_run(&b.config, &b.outcomes, NULL);
        _exit(0);
    }
    check_within(10000, somewhere(b.dir, "waits"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    check_within(10000, somewhere(b.dir, "terminated"));
    bench_done(&b);
}

TEST(a_folder_that_cannot_be_made_is_an_error)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *file = NULL;
    struct bench b;

    bench_init(&b, ARGV("passes"));
    file = xasprintf("%s/file", b.dir);
    need_ok(file_write(file, "", 0, 0600, &err), err);
    b.config.runs_dir = file;
    check_true(many_run(&b.config, &b.outcomes, &err) < 0);
    check_has(err_text(err), file);
    check_int((int64_t)b.outcomes.n, 0);
    bench_done(&b);
}

int main(int argc, char **argv)
{
    if (argc > 1 && str_eq(argv[1], "run"))
        return play(option(argv, "only"), option(argv, "folder"));
    return check_main(argc, argv);
}
