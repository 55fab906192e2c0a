/* SPDX-License-Identifier: AGPL-3.0-only */

/* Fleets that stay up, for real: one that two commands start, one whose keeper is killed, and one that
 * is interrupted while it comes up. They boot machines: FLEETRIG_SLOW_TESTS=1 runs them. */

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/cmd/fleet.h"

#define TEST_S 600
#define UP_MS 300000
#define DOWN_MS 60000

struct bench {
    struct place *place;
    struct fleet *fleet;
    char *out; /* where commands print to */
};

static void bench_up(struct bench *b)
{
    CLEANUP_FREE char *name = NULL, *root = NULL;
    CLEANUP_ERR struct err *err = NULL;

    if (!getenv("FLEETRIG_SLOW_TESTS"))
        check_skip("boots machines: FLEETRIG_SLOW_TESTS=1 runs it");
    check_timeout(TEST_S);
    name = xasprintf("test-%d", (int)getpid());
    need_true(getenv("FLEETRIG_BIN") != NULL);
    /* This program lies deeper in the build than rig, from whose place the root is found. */
    root = getcwd(NULL, 0);
    setenv("FLEETRIG_ROOT", root, 1);
    need_ok(place_new(&b->place, &err), err);
    need_ok(fleet_new(b->place, name, &b->fleet, &err), err);
    b->out = xasprintf("%s/out", check_tmpdir());
}

static void start(const struct bench *b, const char *command, struct proc *ret)
{
    CLEANUP_FREE char *line =
            xasprintf("%s/rig %s --name %s", getenv("FLEETRIG_BIN"), command, b->fleet->name);
    CLEANUP_STRV char **argv = strv_split(line, " ");
    CLEANUP_FCLOSE FILE *out = fopen(b->out, "ae");
    struct proc_spec spec = { .argv = argv, .out_fd = fileno(out) };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(proc_spawn(&spec, ret, &err), err);
}

static int end(struct proc *p)
{
    CLEANUP_ERR struct err *err = NULL;

    need_ok(proc_wait(p, UP_MS, &err), err);
    return WIFEXITED(p->status) ? WEXITSTATUS(p->status) : -1;
}

static int run(const struct bench *b, const char *command)
{
    struct proc p = { 0 };

    start(b, command, &p);
    return end(&p);
}

static void bench_done(struct bench *b)
{
    if (b->fleet && fleet_life(b->fleet) != FLEET_NONE)
        run(b, "down");
    fleet_free(b->fleet);
    place_free(b->place);
    free(b->out);
}

/* Whether some process has to do with the fleet's folder. */
static bool anything_runs(const struct bench *b)
{
    DIR *proc = opendir("/proc");
    bool found = false;

    for (struct dirent *d; proc && !found && (d = readdir(proc));) {
        CLEANUP_FREE char *path = xasprintf("/proc/%s/cmdline", d->d_name), *text = NULL;
        size_t len = 0;

        found = strtol(d->d_name, NULL, 10) > 0 &&
                file_read(path, 1 << 20, &text, &len, NULL) >= 0 &&
                memmem(text, len, b->fleet->dir, strlen(b->fleet->dir));
    }
    if (proc)
        closedir(proc);
    return found;
}

static bool printed(const struct bench *b, const char *want)
{
    CLEANUP_FREE char *text = NULL;

    return file_read(b->out, 16 << 20, &text, NULL, NULL) >= 0 && strstr(text, want);
}

TEST(two_commands_start_one_fleet_and_nothing_outlives_its_keeper)
{
    __attribute__((cleanup(bench_done))) struct bench b = { 0 };
    CLEANUP_FLEET_STATE struct fleet_state state = { 0 }, again = { 0 };
    struct proc first = { 0 }, second = { 0 };
    CLEANUP_ERR struct err *err = NULL;

    bench_up(&b);
    start(&b, "up --devices 1", &first);
    start(&b, "up --devices 1", &second);
    check_int(end(&first), 0);
    check_int(end(&second), 0);
    need_ok(fleet_need(b.fleet, &state, &err), err);
    check_int(run(&b, "up"), 0);
    need_ok(fleet_need(b.fleet, &again, &err), err);
    check_int(again.pid, state.pid);
    check_int(run(&b, "up --devices 2"), 2);
    check_int(run(&b, "status"), 0);
    check_int(run(&b, "expect device edge-1 is reachable"), 0);
    check_int(run(&b, "redeploy agent --no-build"), 0);
    check_int(run(&b, "redeploy operator --no-build"), 0);

    check_true(anything_runs(&b));
    check_int(kill(state.pid, SIGKILL), 0);
    check_within(DOWN_MS, fleet_life(b.fleet) == FLEET_DEAD && !anything_runs(&b));
    check_int(run(&b, "status"), 2);
    check_true(printed(&b, "died and left"));
    check_int(run(&b, "down"), 0);
    check_int(fleet_life(b.fleet), FLEET_NONE);
    check_int(run(&b, "down"), 0);
}

TEST(interrupted_while_it_comes_up_it_goes_down_again)
{
    __attribute__((cleanup(bench_done))) struct bench b = { 0 };
    CLEANUP_FREE char *kubeconfig = NULL;
    struct proc up = { 0 };

    bench_up(&b);
    kubeconfig = fleet_path(b.fleet, "lab/kubeconfig");
    start(&b, "up --devices 1 --cold", &up);
    check_within(UP_MS, file_exists(kubeconfig));
    check_int(run(&b, "do cut power of edge-1"), 2);
    check_true(printed(&b, "is still coming up"));
    kill(up.pid, SIGINT);
    check_int(end(&up), 130);
    check_int(fleet_life(b.fleet), FLEET_NONE);
    check_true(!anything_runs(&b));
}

CHECK_MAIN()
