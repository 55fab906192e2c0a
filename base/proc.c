/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. What can allocate or fail with a long story (PATH, the environment) is done
 * before fork(); the child of a program with threads may only make async-signal-safe calls. A pipe
 * that closes on exec carries what went wrong in the child: end of file means that the program runs.
 * All signals are blocked across fork(), so that no handler of ours runs in the child.
 */

#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"

/* Reaping after KILL takes no time, except for a process that hangs in the kernel. */
#define KILLED_MS 10000

extern char **environ;

/* --- in the child -------------------------------------------------------------------------- */

enum step { STEP_FDS, STEP_GROUP, STEP_CWD, STEP_PREPARE, STEP_PARENT, STEP_EXEC };

static const char *const step_texts[] = {
    [STEP_FDS] = "setting up its files",      [STEP_GROUP] = "making its process group",
    [STEP_CWD] = "entering its folder",       [STEP_PREPARE] = "preparing it",
    [STEP_PARENT] = "tying it to its parent", [STEP_EXEC] = "executing it",
};

struct failure {
    int step, errnum;
};

static _Noreturn void fail(int fd, enum step step, int errnum)
{
    struct failure f = { .step = (int)step, .errnum = errnum };

    /* When even this fails the parent sees an early end, status 127. */
    if (write(fd, &f, sizeof(f)) < 0)
        _exit(126);
    _exit(127);
}

/* A copy of `fd` above the standard ones; 0 stands for /dev/null. Closed on exec. */
static int above_standard(int fd)
{
    int null_fd, copy;

    if (fd != 0)
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return -1;
    copy = fcntl(null_fd, F_DUPFD_CLOEXEC, 3);
    close(null_fd);
    return copy;
}

/* Standard input, output and error; copied above them first, since they may be crossed over. */
static bool set_fds(const struct proc_spec *spec)
{
    int in = above_standard(spec->in_fd);
    int out = above_standard(spec->out_fd);
    int errout = above_standard(spec->err_fd ? spec->err_fd : spec->out_fd);

    if (in < 0 || out < 0 || errout < 0)
        return false;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(errout, STDERR_FILENO) < 0)
        return false;
    /* Files of libraries that forgot O_CLOEXEC. An old kernel that cannot leaves it to O_CLOEXEC. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    return true;
}

/* Handlers go at exec by themselves, but ignored signals stay ignored. */
static void reset_signals(void)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child(const struct proc_spec *spec, const char *program, char *const *env,
                            int report_fd, pid_t parent)
{
    int report = fcntl(report_fd, F_DUPFD_CLOEXEC, 3), r;

    if (report < 0)
        _exit(126);
    if (!set_fds(spec))
        fail(report, STEP_FDS, errno);
    if (spec->own_group && setpgid(0, 0) < 0)
        fail(report, STEP_GROUP, errno);
    if (spec->cwd && chdir(spec->cwd) < 0)
        fail(report, STEP_CWD, errno);
    r = spec->prepare ? spec->prepare(spec->userdata) : 0;
    if (r < 0)
        fail(report, STEP_PREPARE, -r);
    if (!spec->outlive) {
        if (prctl(PR_SET_PDEATHSIG, spec->death_signal ? spec->death_signal : SIGKILL) < 0)
            fail(report, STEP_PARENT, errno);
        if (getppid() != parent)
            fail(report, STEP_PARENT, ESRCH); /* it died before the line above */
    }
    reset_signals();
    execve(program, spec->argv, env);
    fail(report, STEP_EXEC, errno);
}

/* --- in the parent ------------------------------------------------------------------------- */

/* The value of PATH for the child. Borrowed. */
static const char *search_path(char *const *env)
{
    for (; *env; env++)
        if (str_starts(*env, "PATH="))
            return *env + strlen("PATH=");
    return "/usr/local/bin:/usr/bin:/bin";
}

/* The file that `name` means. The caller frees it. */
static int find_program(const char *name, char *const *env, char **ret, struct err **err)
{
    CLEANUP_STRV char **folders = NULL;
    int errnum = ENOENT;

    if (strchr(name, '/')) {
        *ret = xstrdup(name);
        return 0;
    }
    folders = strv_split(search_path(env), ":");
    for (size_t i = 0; folders[i]; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", folders[i], name);
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (access(path, X_OK) < 0) {
            errnum = errno;
            continue;
        }
        *ret = steal_ptr(path);
        return 0;
    }
    if (errnum == ENOENT)
        return err_new(err, ENOENT, "starting %s: not found in PATH", name);
    return err_errno(err, errnum, "starting %s", name);
}

bool proc_find(const char *name)
{
    CLEANUP_FREE char *path = NULL;

    return find_program(name, environ, &path, NULL) >= 0;
}

static char **merged_env(char *const *added)
{
    char **env = strv_copy(added);

    for (char **e = environ; e && *e; e++) {
        size_t n = strcspn(*e, "=");
        bool overridden = false;

        for (size_t i = 0; added && added[i] && !overridden; i++)
            overridden = strncmp(added[i], *e, n) == 0 && added[i][n] == '=';
        if (!overridden)
            strv_add(&env, *e);
    }
    return env;
}

/* Ends a child that is not going to be used. */
static void discard(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* What the child says: 0 when it runs its program. */
static int await_exec(int fd, struct failure *ret)
{
    ssize_t n;

    do
        n = read(fd, ret, sizeof(*ret));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*ret) ? -1 : 0;
}

int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err **err)
{
    CLEANUP_STRV char **env = merged_env(spec->env);
    CLEANUP_FREE char *program = NULL;
    CLEANUP_CLOSE int report_read = -1, report_write = -1;
    struct failure failure;
    sigset_t all, before;
    pid_t parent = getpid(), pid;
    int fds[2], fork_errno, pidfd, r;

    r = find_program(spec->argv[0], env, &program, err);
    if (r < 0)
        return r;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "starting %s", spec->argv[0]);
    report_read = fds[0];
    report_write = fds[1];

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    fork_errno = errno;
    if (pid == 0)
        child(spec, program, env, report_write, parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return err_errno(err, fork_errno, "starting %s", spec->argv[0]);

    close(steal_fd(&report_write));
    if (await_exec(report_read, &failure) < 0) {
        discard(pid);
        return err_errno(err, failure.errnum, "starting %s: %s", spec->argv[0],
                         step_texts[failure.step]);
    }
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        r = err_errno(err, errno, "watching %s", spec->argv[0]);
        discard(pid);
        return r;
    }
    *ret = (struct proc){ .pid = pid, .pidfd = pidfd };
    return 0;
}

bool proc_ended(struct proc *p)
{
    struct rusage used = { 0 };
    int status = 0;
    pid_t r;

    if (p->pid == 0)
        return true;
    do
        r = wait4(p->pid, &status, WNOHANG, &used);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return false;
    /* Without a status (somebody else reaped it) it counts as failed. */
    p->status = r > 0 ? status : W_EXITCODE(255, 0);
    p->cpu_ms = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * INT64_C(1000) +
                (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    p->pid = 0;
    close(steal_fd(&p->pidfd));
    return true;
}

/* Whether it ends before the deadline, without reaping it: its process id stays taken. */
static bool await_end(const struct proc *p, int64_t deadline_ms)
{
    struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };
    int64_t left;
    int n;

    do {
        left = clock_left_ms(deadline_ms);
        n = poll(&pfd, 1, left > 60000 ? 60000 : (int)left);
    } while (n <= 0 && left > 0);
    return n > 0;
}

int proc_wait(struct proc *p, int64_t timeout_ms, struct err **err)
{
    if (p->pid == 0 || (await_end(p, clock_mono_ms() + timeout_ms) && proc_ended(p)))
        return 0;
    return err_new(err, ETIMEDOUT, "process %d did not end within %jd ms", (int)p->pid,
                   (intmax_t)timeout_ms);
}

static void signal_it(const struct proc *p, bool group, int signo)
{
    if (!group || kill(-p->pid, signo) < 0)
        kill(p->pid, signo);
}

void proc_stop(struct proc *p, bool group, int64_t grace_ms)
{
    if (p->pid == 0)
        return;
    signal_it(p, group, SIGTERM);
    signal_it(p, group, SIGCONT); /* one that stands still takes no TERM */
    /* The rest of the group does not outlive its leader, also when that ended in time. It is not
     * reaped before, so the process id cannot have become somebody else's. */
    if (!await_end(p, clock_mono_ms() + grace_ms) || group)
        signal_it(p, group, SIGKILL);
    if (await_end(p, clock_mono_ms() + KILLED_MS))
        proc_ended(p);
}

char *proc_status_text(int status)
{
    if (WIFSIGNALED(status))
        return xasprintf("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return xasprintf("exited with status %d", WEXITSTATUS(status));
}
