/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static struct supervisor *new_supervisor(void)
{
    CLEANUP_ERR struct err *err = NULL;
    struct supervisor *s = NULL;

    need_ok(supervisor_new(check_tmpdir(), &s, &err), err);
    return s;
}

/* A child that says so once it is set up. */
static void start_shell(struct supervisor *s, const char *name, const char *script)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    need_ok(supervisor_start(s, name, ARGV("sh", "-c", script), NULL, &err), err);
    check_within(5000, (free(text), text = NULL,
                        file_read(supervisor_log(s, name), 4096, &text, NULL, NULL) == 0 &&
                                strstr(text, "up\n")));
}

static char *log_of(struct supervisor *s, const char *name)
{
    CLEANUP_ERR struct err *err = NULL;
    char *text = NULL;

    need_ok(file_read(supervisor_log(s, name), 65536, &text, NULL, &err), err);
    return text;
}

TEST(a_child_runs_with_its_log_until_it_is_stopped)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;
    pid_t pid;

    start_shell(s, "one", "echo up; echo more >&2; exec sleep 100");
    check_true(supervisor_running(s, "one"));
    check_ok(supervisor_check(s, &err), err);
    pid = supervisor_pid(s, "one");
    check_true(pid > 0);
    check_ok(supervisor_stop(s, "one", &err), err);
    check_true(kill(pid, 0) < 0);
    check_true(!supervisor_running(s, "one"));
    check_ok(supervisor_check(s, &err), err);
}

TEST(a_casualty_is_told_with_its_status_and_last_words)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;

    start_shell(s, "fine", "echo up; exec sleep 100");
    start_shell(s, "doomed", "echo up; for i in 1 2 3 4 5 6; do echo line $i; done; exit 3");
    check_within(5000, supervisor_check(s, NULL) < 0);
    check_int(supervisor_check(s, &err), -ECHILD);
    check_has(err_text(err), "doomed exited with status 3:");
    check_has(err_text(err), "line 2\n  line 3\n  line 4\n  line 5\n  line 6");
    check_true(!strstr(err_text(err), "line 1"));
    check_str(err_next(err), "the whole log: logs/doomed.log");
}

TEST(a_casualty_killed_from_outside_is_told)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;

    start_shell(s, "victim", "echo up; exec sleep 100");
    kill(supervisor_pid(s, "victim"), SIGKILL);
    check_within(5000, supervisor_check(s, NULL) < 0);
    check_true(supervisor_check(s, &err) < 0);
    check_has(err_text(err), "victim killed by signal 9");
}

TEST(one_that_the_rig_killed_is_no_casualty_and_starts_again)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *log = NULL;

    start_shell(s, "one", "echo up; echo pid $$; exec sleep 100");
    check_ok(supervisor_kill(s, "one", SIGKILL, &err), err);
    check_true(!supervisor_running(s, "one"));
    check_ok(supervisor_check(s, &err), err);
    check_int(supervisor_kill(s, "one", SIGKILL, &err), -ESRCH);
    check_ok(supervisor_restart(s, "one", &err), err);
    check_true(supervisor_running(s, "one"));
    check_within(5000, (free(log), log = log_of(s, "one"), strstr(strstr(log, "up") + 1, "up")));
    /* It counts again. */
    kill(supervisor_pid(s, "one"), SIGKILL);
    check_within(5000, supervisor_check(s, NULL) < 0);
}

static int always_ready(void *userdata, struct err **err)
{
    (void)userdata;
    (void)err;
    return 0;
}

/* "start one" without the number of the process. */
static void write_down(enum lab_event_kind kind, const char *lane, const char *text, void *userdata)
{
    buf_addf(userdata, "%s %s%s\n", lab_event_text(kind), lane,
             kind == LAB_DIED   ? text
             : kind == LAB_STOP ? "!"
                                : "");
}

TEST(who_listens_hears_each_thing_once)
{
    CLEANUP_BUF struct buf heard = BUF_INIT(4096);
    struct supervisor *s = new_supervisor();

    supervisor_listen(s, write_down, &heard);
    start_shell(s, "one", "echo up; exec sleep 100");
    supervisor_wait(s, "one", always_ready, NULL, 5000, NULL);
    supervisor_wait(s, "one", always_ready, NULL, 5000, NULL);
    supervisor_kill(s, "one", SIGSTOP, NULL);
    supervisor_kill(s, "one", SIGCONT, NULL);
    supervisor_kill(s, "one", SIGKILL, NULL);
    supervisor_stop(s, "one", NULL);
    supervisor_restart(s, "one", NULL);
    kill(supervisor_pid(s, "one"), SIGKILL);
    check_within(5000, supervisor_check(s, NULL) < 0);
    supervisor_check(s, NULL);
    start_shell(s, "two", "echo up; exec sleep 100");
    supervisor_free(s);
    check_str(buf_str(&heard), "start one\nready one\npause one\nresume one\nstop one!\nstart one\n"
                               "died onekilled by signal 9 (Killed)\nstart two\nstop two!\n");
}

TEST(a_paused_child_still_runs)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;

    start_shell(s, "one", "echo up; exec sleep 100");
    check_ok(supervisor_kill(s, "one", SIGSTOP, &err), err);
    check_true(supervisor_running(s, "one"));
    check_ok(supervisor_check(s, &err), err);
    check_ok(supervisor_kill(s, "one", SIGCONT, &err), err);
}

TEST(a_paused_child_takes_its_term)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_FREE char *out = xasprintf("%s/said", check_tmpdir());
    CLEANUP_FREE char *script = xasprintf(
            "trap 'echo term >>%s; exit' TERM; echo up; while :; do sleep 0.1; done", out);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;
    int64_t start = clock_mono_ms();

    start_shell(s, "one", script);
    check_ok(supervisor_kill(s, "one", SIGSTOP, &err), err);
    check_ok(supervisor_kill(s, "one", SIGTERM, &err), err);
    check_ok(supervisor_restart(s, "one", &err), err);
    check_ok(supervisor_kill(s, "one", SIGSTOP, &err), err);
    check_ok(supervisor_stop(s, "one", &err), err);
    check_ok(supervisor_check(s, &err), err);
    check_true(clock_mono_ms() - start < 4000);
    need_ok(file_read(out, 100, &text, NULL, &err), err);
    check_has(text, "term\n");
}

TEST(names_that_are_not_there_are_errors)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;

    check_int(supervisor_kill(s, "nobody", SIGKILL, &err), -ENOENT);
    check_int(supervisor_stop(s, "nobody", &err), -ENOENT);
    check_int(supervisor_restart(s, "nobody", &err), -ENOENT);
    check_true(!supervisor_running(s, "nobody"));
    check_true(!supervisor_log(s, "nobody"));
    check_true(supervisor_start(s, "absent", ARGV("/nonexistent/program"), NULL, &err) < 0);
    check_has(err_text(err), "starting absent");
    check_ok(supervisor_check(s, &err), err);
    start_shell(s, "one", "echo up; exec sleep 100");
    check_int(supervisor_start(s, "one", ARGV("true"), NULL, &err), -EEXIST);
}

TEST(a_program_is_found_where_the_rig_says)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;

    supervisor_program(s, "my-server", "/bin/sh");
    need_ok(supervisor_start(s, "one", ARGV("my-server", "-c", "exec sleep 100"), NULL, &err), err);
    check_true(supervisor_running(s, "one"));
}

TEST(all_end_newest_first_and_the_deaf_ones_too)
{
    struct supervisor *s = new_supervisor();
    CLEANUP_FREE char *out = xasprintf("%s/order", check_tmpdir()), *text = NULL;
    CLEANUP_FREE char *one =
            xasprintf("trap 'echo one >>%s; exit' TERM; echo up; while :; do sleep 0.1; done", out);
    CLEANUP_FREE char *two =
            xasprintf("trap 'echo two >>%s; exit' TERM; echo up; while :; do sleep 0.1; done", out);
    pid_t deaf;

    start_shell(s, "one", one);
    start_shell(s, "two", two);
    start_shell(s, "deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done");
    deaf = supervisor_pid(s, "deaf");
    supervisor_free(s);
    check_true(kill(deaf, 0) < 0);
    need_true(file_read(out, 100, &text, NULL, NULL) == 0);
    check_str(text, "two\none\n");
}

TEST(children_die_with_the_rig)
{
    int pipe_fds[2];
    pid_t rig, child = 0;

    need_true(pipe(pipe_fds) == 0);
    fflush(stdout);
    if ((rig = fork()) == 0) {
        struct supervisor *s = new_supervisor();

        start_shell(s, "one", "echo up; exec sleep 100");
        child = supervisor_pid(s, "one");
        if (write(pipe_fds[1], &child, sizeof(child)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    check_int(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
    kill(rig, SIGKILL);
    waitpid(rig, NULL, 0);
    check_within(5000, kill(child, 0) < 0 && errno == ESRCH);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static int never(void *userdata, struct err **err)
{
    (void)userdata;
    return err_new(err, EAGAIN, "not yet");
}

TEST(waits_end_by_death_interruption_or_deadline)
{
    CLEANUP(supervisor_free) struct supervisor *s = new_supervisor();
    CLEANUP_ERR struct err *err = NULL;
    volatile sig_atomic_t stop = 0;
    int64_t start = clock_mono_ms();

    start_shell(s, "slow", "echo up; exec sleep 100");
    check_int(supervisor_wait(s, "slow", never, NULL, 300, &err), -ETIMEDOUT);
    check_has(err_text(err), "slow is not ready after 0.3 s: not yet");
    supervisor_stop_flag(s, &stop);
    stop = 1;
    check_int(supervisor_wait(s, "slow", never, NULL, 60000, &err), -ECANCELED);
    check_int(supervisor_interrupted(s, &err), -ECANCELED);
    stop = 0;
    start_shell(s, "short", "echo up; sleep 0.2; echo bye; exit 1");
    check_int(supervisor_wait(s, "short", never, NULL, 60000, &err), -ECHILD);
    check_has(err_text(err), "short exited with status 1:\n  up\n  bye");
    /* A wait for one component ends with the death of another. */
    check_int(supervisor_wait(s, "slow", never, NULL, 60000, &err), -ECHILD);
    check_true(clock_mono_ms() - start < 20000);
}

TEST(ports_are_free_and_given_once)
{
    uint16_t ports[50];
    CLEANUP_ERR struct err *err = NULL;

    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        need_ok(port_free(&ports[i], &err), err);
        check_true(ports[i] >= 1024 && ports[i] < 32768);
        for (size_t j = 0; j < i; j++)
            check_true(ports[i] != ports[j]);
    }
}

/* Each process would begin anywhere: they are forked after the first draw, so all begin at the same. */
TEST(two_rigs_never_get_the_same_port)
{
    uint16_t ours[8], theirs[8], first = 0;
    int fds[2], status = 0;
    CLEANUP_ERR struct err *err = NULL;
    pid_t pid = -1;

    need_ok(port_free(&first, &err), err);
    need_true(pipe2(fds, O_CLOEXEC) == 0 && (pid = fork()) >= 0);
    if (pid == 0) {
        for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
            if (port_free(&theirs[i], NULL) < 0)
                _exit(1);
        if (write(fds[1], theirs, sizeof(theirs)) != sizeof(theirs))
            _exit(1);
        poll(NULL, 0, -1);
    }
    need_true(read(fds[0], theirs, sizeof(theirs)) == sizeof(theirs));
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        need_ok(port_free(&ours[i], &err), err);
        for (size_t j = 0; j < ARRAY_LEN(theirs); j++)
            check_true(ours[i] != theirs[j]);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_port_that_somebody_has_is_passed_over)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_ERR struct err *err = NULL;
    uint16_t port = 0, next = 0;

    need_ok(port_free(&port, &err), err);
    address.sin_port = htons((uint16_t)(port + 1));
    need_true(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    need_ok(port_free(&next, &err), err);
    check_true(next != port + 1);
}

CHECK_MAIN()
