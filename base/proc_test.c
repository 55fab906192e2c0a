/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define SH(script) ARGV("sh", "-c", script)
#define LONG_MS 20000

/* Runs a shell script that must succeed and returns its output. The caller frees it. */
static char *output_of(const char *script)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

    check_ok(proc_run(SH(script), NULL, LONG_MS, &out, NULL, &err), err);
    return buf_steal(&out);
}

static bool process_exists(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    char state = 0;

    /* A zombie has ended, whoever is to reap it. */
    return f && fscanf(f, "%*d %*s %c", &state) == 1 && state != 'Z' && state != 'X';
}

TEST(output_and_errors_are_captured_apart_and_input_is_read)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(100), errout = BUF_INIT(100);

    check_ok(proc_run(SH("cat; echo oops >&2"), "hello\n", LONG_MS, &out, &errout, &err), err);
    check_str(buf_str(&out), "hello\n");
    check_str(buf_str(&errout), "oops\n");
}

TEST(without_input_stdin_is_empty)
{
    CLEANUP_FREE char *out = output_of("wc -c; readlink /proc/self/fd/0");

    check_str(out, "0\n/dev/null\n");
}

TEST(a_failure_quotes_the_last_lines_of_stderr)
{
    CLEANUP_ERR struct err *err = NULL;

    check_int(proc_run(SH("for i in 1 2 3 4 5; do echo line $i >&2; done; exit 3"), NULL, LONG_MS,
                       NULL, NULL, &err),
              -EIO);
    check_str(err_text(err), "sh exited with status 3: line 3; line 4; line 5");
    check_int(proc_run(SH("exit 1"), NULL, LONG_MS, NULL, NULL, &err), -EIO);
    check_str(err_text(err), "sh exited with status 1");
    check_int(proc_run(SH("kill -9 $$"), NULL, LONG_MS, NULL, NULL, &err), -EIO);
    check_str(err_text(err), "sh killed by signal 9 (Killed)");
}

TEST(much_output_neither_blocks_nor_exceeds_the_cap)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    const char *script = "head -c 3000000 /dev/zero | tr '\\0' x; "
                         "head -c 3000000 /dev/zero | tr '\\0' y >&2; echo last >&2; exit 1";

    check_int(proc_run(SH(script), NULL, LONG_MS, &out, NULL, &err), -EIO);
    check_int(out.len, 1000);
    check_true(out.overflow);
    check_has(err_text(err), "yylast");
    check_true(strlen(err_text(err)) < 3000);
}

TEST(a_program_that_ignores_its_input_is_fine)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *input = xcalloc(1, 1 << 20);

    memset(input, 'x', (1 << 20) - 1);
    check_ok(proc_run(ARGV("true"), input, LONG_MS, NULL, NULL, &err), err);
}

TEST(a_program_that_takes_too_long_is_stopped_with_its_children)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(100);
    int64_t start = check_now_ms();
    int grandchild = 0;

    check_int(proc_run(SH("sleep 1000 & echo $!; wait"), NULL, 200, &out, NULL, &err), -ETIMEDOUT);
    check_str(err_text(err), "sh did not end within 200 ms");
    check_true(check_now_ms() - start < 10000);
    need_true(sscanf(buf_str(&out), "%d", &grandchild) == 1);
    check_within(5000, !process_exists(grandchild));
}

TEST(a_grandchild_that_keeps_the_output_open_does_not_hold_us_up)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(100);
    int64_t start = check_now_ms();
    int grandchild = 0;

    check_ok(proc_run(SH("sleep 30 & echo $!"), NULL, LONG_MS, &out, NULL, &err), err);
    check_true(check_now_ms() - start < 10000);
    need_true(sscanf(buf_str(&out), "%d", &grandchild) == 1);
    kill(grandchild, SIGKILL);
}

TEST(a_program_that_cannot_run_says_why)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *plain = xasprintf("%s/plain", dir), *path = xasprintf("PATH=%s", dir);
    CLEANUP_ERR struct err *err = NULL;
    struct proc p = { .pid = -7 };
    FILE *f = fopen(plain, "we");

    need_true(f && fclose(f) == 0);
    check_int(proc_spawn(&(struct proc_spec){ .argv = ARGV("no-such-program") }, &p, &err),
              -ENOENT);
    check_str(err_text(err), "starting no-such-program: not found in PATH");
    check_int(proc_spawn(&(struct proc_spec){ .argv = ARGV("/no/such") }, &p, &err), -ENOENT);
    check_str(err_text(err), "starting /no/such: executing it: No such file or directory");
    check_int(proc_spawn(&(struct proc_spec){ .argv = ARGV(plain) }, &p, &err), -EACCES);
    check_has(err_text(err), "executing it: Permission denied");
    check_int(proc_spawn(&(struct proc_spec){ .argv = ARGV("true"), .cwd = "/no/such" }, &p, &err),
              -ENOENT);
    check_str(err_text(err), "starting true: entering its folder: No such file or directory");
    check_int(proc_spawn(&(struct proc_spec){ .argv = ARGV("plain"), .env = ARGV(path) }, &p, &err),
              -EACCES);
    check_str(err_text(err), "starting plain: Permission denied");
    check_int(p.pid, -7);
    check_int(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}

TEST(the_environment_is_inherited_extended_and_overridden)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *path = xasprintf("%s/env", check_tmpdir()), *text = NULL;
    struct proc p;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    setenv("BASE_TEST_A", "old", 1);
    setenv("BASE_TEST_B", "kept", 1);
    setenv("BASE_TEST_AB", "also", 1);
    need_ok(proc_spawn(&(struct proc_spec){ .argv = SH("echo $BASE_TEST_A $BASE_TEST_AB "
                                                       "$BASE_TEST_B $BASE_TEST_C; pwd"),
                                            .env = ARGV("BASE_TEST_A=new", "BASE_TEST_C=added"),
                                            .cwd = "/",
                                            .out_fd = fd },
                       &p, &err),
            err);
    close(fd);
    check_ok(proc_wait(&p, LONG_MS, &err), err);
    text = check_read(path, NULL);
    check_str(text, "new also kept added\n/\n");
}

TEST(outputs_may_be_crossed_over)
{
    CLEANUP_FREE char *path = xasprintf("%s/out", check_tmpdir()), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct proc p;
    int r, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10),
        saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

    /* Our stderr is the file; the child's stdout is our stderr and the other way round. */
    dup2(fd, STDERR_FILENO);
    r = proc_spawn(&(struct proc_spec){ .argv = SH("echo out; echo '# from a child' >&2"),
                                        .out_fd = STDERR_FILENO,
                                        .err_fd = STDOUT_FILENO },
                   &p, &err);
    dup2(saved_err, STDERR_FILENO);
    check_ok(r, err);
    check_ok(proc_wait(&p, LONG_MS, &err), err);
    text = check_read(path, NULL);
    check_str(text, "out\n");
    close(saved_out);
    close(saved_err);
    close(fd);
}

TEST(no_other_file_of_ours_reaches_a_child)
{
    int leaky = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a library might */
    CLEANUP_FREE char *out = NULL;

    need_true(leaky > 2 && fcntl(leaky, F_SETFD, 0) == 0);
    out = output_of("ls /proc/self/fd | sort -n | head -n 3 | tr '\\n' ' '; "
                    "ls /proc/self/fd | wc -l");
    check_str(out, "0 1 2 4\n"); /* the fourth is that of ls itself */
    close(leaky);
}

TEST(signals_are_reset_in_a_child)
{
    CLEANUP_FREE char *out = NULL;
    sigset_t some, before;
    unsigned long blocked = 1, ignored = 1;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &before);
    out = output_of("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    need_true(sscanf(out, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored) == 2);
    check_int(blocked, 0);
    /* 32 and 33 are libc's own, out of our reach: we may have got them ignored ourselves. */
    check_int(ignored & ~(3UL << 31), 0);
}

TEST(a_child_is_polled_waited_for_and_stopped)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *how = NULL;
    struct proc p;

    need_ok(proc_spawn(&(struct proc_spec){ .argv = ARGV("sleep", "1000") }, &p, &err), err);
    check_true(!proc_ended(&p));
    check_int(proc_wait(&p, 30, &err), -ETIMEDOUT);
    check_has(err_text(err), "did not end within 30 ms");
    check_true(p.pid > 0 && p.pidfd >= 0);
    proc_stop(&p, /* group= */ false, 5000);
    check_int(p.pid, 0);
    check_int(p.pidfd, -1);
    how = proc_status_text(p.status);
    check_str(how, "killed by signal 15 (Terminated)");
    /* All of it is harmless afterwards. */
    proc_stop(&p, false, 0);
    check_true(proc_ended(&p));
    check_int(proc_wait(&p, 0, NULL), 0);
}

TEST(what_ignores_term_is_killed)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_CLOSE int in = -1;
    struct proc p;
    char c;
    int fds[2];

    need_true(pipe2(fds, O_CLOEXEC) == 0);
    in = fds[0];
    need_ok(proc_spawn(&(struct proc_spec){ .argv = SH("trap '' TERM; echo x; while :; do sleep 1; "
                                                       "done"),
                                            .out_fd = fds[1],
                                            .own_group = true },
                       &p, &err),
            err);
    close(fds[1]);
    need_true(read(in, &c, 1) == 1);
    proc_stop(&p, /* group= */ true, 100);
    check_int(p.pid, 0);
    check_true(WIFSIGNALED(p.status) && WTERMSIG(p.status) == SIGKILL);
}

/* Starts a helper that spawns `sleep` and then ends; returns the pid of the sleep. */
static pid_t orphan(bool outlive)
{
    int fds[2], status = 0;
    pid_t sleeper = 0, helper;

    need_true(pipe2(fds, O_CLOEXEC) == 0);
    helper = fork();
    if (helper == 0) {
        struct proc_spec spec = { .argv = ARGV("sleep", "1000"), .outlive = outlive };
        struct proc p;

        if (proc_spawn(&spec, &p, NULL) < 0 || write(fds[1], &p.pid, sizeof(p.pid)) < 0)
            _exit(1);
        _exit(0);
    }
    close(fds[1]);
    need_true(waitpid(helper, &status, 0) == helper && status == 0);
    need_true(read(fds[0], &sleeper, sizeof(sleeper)) == (ssize_t)sizeof(sleeper));
    close(fds[0]);
    return sleeper;
}

TEST(a_child_dies_with_its_parent_unless_it_shall_outlive_it)
{
    pid_t tied = orphan(false), loose = orphan(true);

    check_within(5000, !process_exists(tied));
    check_true(process_exists(loose));
    kill(loose, SIGKILL);
    check_within(5000, !process_exists(loose));
}

static int refuse(void *userdata)
{
    return userdata ? -EPERM : 0;
}

TEST(preparation_runs_in_the_child_and_may_refuse)
{
    CLEANUP_ERR struct err *err = NULL;
    struct proc_spec spec = { .argv = ARGV("true"), .prepare = refuse, .userdata = &spec };
    struct proc p;

    check_int(proc_spawn(&spec, &p, &err), -EPERM);
    check_str(err_text(err), "starting true: preparing it: Operation not permitted");
    spec.userdata = NULL;
    need_ok(proc_spawn(&spec, &p, &err), err);
    check_ok(proc_wait(&p, LONG_MS, &err), err);
    check_int(p.status, 0);
}

CHECK_MAIN()
