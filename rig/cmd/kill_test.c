/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Kills the rig with -9 at one moment after the other of a run, and sees that `rig heal` leaves nothing
 * and that a second one has nothing to do. At every other moment the private libvirtd is killed with
 * it, so that nobody but healing can end the machines. FLEETRIG_KILL_EVERY=1 takes every moment, the
 * default is every third.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define SCENARIO "scenarios/power-cycle-one.yml"
#define RUN_S 900
#define LEFT_MS 10000
#define HEAL_MS 60000
#define MOMENTS_MAX 200
#define TEXT_MAX (64 << 20)

static char *rig(void)
{
    return xasprintf("%s/rig", getenv("FLEETRIG_BIN"));
}

/* --- What is left ---------------------------------------------------------------------------- */

/* Whether a file or link of a process mentions `what`. */
static bool mentions(const char *pid, const char *what)
{
    CLEANUP_FREE char *command = xasprintf("/proc/%s/cmdline", pid), *text = NULL;
    CLEANUP_FREE char *link = xasprintf("/proc/%s/cwd", pid);
    char cwd[4096] = "";
    size_t len = 0;

    if (file_read(command, 1 << 20, &text, &len, NULL) >= 0 &&
        memmem(text, len, what, strlen(what)))
        return true;
    return readlink(link, cwd, sizeof(cwd) - 1) > 0 && strstr(cwd, what);
}

/* The first process that has to do with the folder; 0 when there is none. */
static pid_t who_mentions(const char *dir)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;

    for (struct dirent *d; proc && !found && (d = readdir(proc));) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

        if (pid > 0 && pid != getpid() && mentions(d->d_name, dir))
            found = pid;
    }
    if (proc)
        closedir(proc);
    return found;
}

/* The path of `name` in the only run in `dir`; NULL while there is none. The caller frees it. */
static char *in_run(const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    char *path = NULL;

    for (struct dirent *e; d && !path && (e = readdir(d));)
        if (e->d_name[0] != '.')
            path = xasprintf("%s/%s/%s", dir, e->d_name, name);
    if (d)
        closedir(d);
    return path;
}

/* --- When to kill ---------------------------------------------------------------------------- */

/* Events of the run so far that are moments: phases of the lab, steps, actions. */
static size_t moments(const char *dir)
{
    static const char *const kinds[] = { "{\"ev\":\"phase\"", "{\"ev\":\"step\"",
                                         "{\"ev\":\"action\"" };
    CLEANUP_FREE char *path = in_run(dir, "history.jsonl"), *text = NULL;
    size_t n = 0;

    if (!path || file_read(path, TEXT_MAX, &text, NULL, NULL) < 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (const char *at = text; (at = strstr(at, kinds[i])); at++)
            n++;
    return n;
}

/* The private daemon of the run: its pid stands in its ledger. */
static pid_t daemon_of(const char *dir)
{
    CLEANUP_FREE char *path = in_run(dir, "lab/ledger.jsonl"), *text = NULL;
    const char *at;

    if (!path || file_read(path, TEXT_MAX, &text, NULL, NULL) < 0 ||
        !(at = strstr(text, "\"subject\":\"libvirtd\"")) || !(at = strstr(at, "\"pid\":")))
        return 0;
    return (pid_t)strtol(at + strlen("\"pid\":"), NULL, 10);
}

/* Runs the scenario and kills the rig at the given moment. False when it ended before. */
static bool kill_at(const char *dir, size_t moment, bool daemon_too)
{
    CLEANUP_FREE char *program = rig(), *log = xasprintf("%s.log", dir);
    CLEANUP_FCLOSE FILE *out = fopen(log, "we");
    struct proc_spec spec = { .argv = ARGV(program, "run", "--report-dir", dir, SCENARIO) };
    CLEANUP_ERR struct err *err = NULL;
    struct proc p = { 0 };
    pid_t daemon;

    spec.out_fd = fileno(out);
    need_ok(proc_spawn(&spec, &p, &err), err);
    while (moments(dir) < moment) {
        if (proc_wait(&p, 10, NULL) >= 0) {
            check_int(p.status, 0); /* left alone, it passes */
            return false;
        }
    }
    daemon = daemon_too ? daemon_of(dir) : 0;
    kill(p.pid, SIGKILL);
    if (daemon > 1)
        kill(daemon, SIGKILL);
    proc_stop(&p, false, 0);
    return true;
}

/* --- Healing --------------------------------------------------------------------------------- */

static char *run_heal(const char *dir)
{
    CLEANUP_FREE char *program = rig();
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;

    check_ok(proc_run(ARGV(program, "heal", "--report-dir", dir), NULL, HEAL_MS, &out, NULL, &err),
             err);
    return buf_steal(&out);
}

static void check_nothing_left(const char *dir)
{
    CLEANUP_FREE char *said = run_heal(dir), *again = NULL, *lab = NULL;
    int64_t until = check_now_ms() + LEFT_MS;
    pid_t pid;

    while ((pid = who_mentions(dir)) && check_now_ms() < until)
        check_pause();
    if (pid) {
        CLEANUP_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid), *command = NULL;

        file_read(path, 1 << 20, &command, NULL, NULL);
        check_str(command ? command : "?", "no process");
    }
    lab = in_run(dir, "lab");
    check_true(!lab || !file_exists(lab));
    again = run_heal(dir);
    check_str(again, "nothing is left to take back\n");
    printf("# %s", said);
}

TEST(a_rig_that_is_killed_at_any_moment_leaves_nothing_after_heal)
{
    const char *every = getenv("FLEETRIG_KILL_EVERY");
    size_t step = every ? strtoul(every, NULL, 10) : 3, moment = 1;

    if (!getenv("FLEETRIG_SLOW_TESTS"))
        check_skip("boots machines: FLEETRIG_SLOW_TESTS=1 runs it");
    need_true(step > 0 && getenv("FLEETRIG_BIN"));
    for (; moment < MOMENTS_MAX; moment += step) {
        const char *dir = check_tmpdir();
        bool killed;

        check_timeout(RUN_S);
        check_case("moment %zu", moment);
        killed = kill_at(dir, moment, /* daemon_too= */ (moment / step) % 2);
        printf("# moment %zu: %s\n", moment, killed ? "killed" : "the run has ended");
        check_nothing_left(dir);
        if (!killed)
            break;
    }
    /* Else the scenario never came to its end. */
    check_true(moment > 10 && moment < MOMENTS_MAX);
}

CHECK_MAIN()
