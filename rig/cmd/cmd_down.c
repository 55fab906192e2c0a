/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_heal.h"
#include "rig/cmd/options.h"
#include "rig/cmd/signals.h"

#define DOWN_MS 90000   /* what a keeper may take to stop everything in order */
#define KILLED_MS 10000 /* until the kernel has ended a killed one */
#define POLL_MS 50

const struct verbs_option cmd_down_options[] = { FLEET_OPTION, { 0 } };

static int clear_away(struct fleet *f, struct err **err)
{
    int r = fleet_heal(f, NULL, NULL, err);

    return r < 0 ? r : fleet_remove(f, err);
}

/* Takes the lock once nobody has it. */
static int await_lock(struct fleet *f, int64_t timeout_ms, const volatile sig_atomic_t *stop,
                      struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    int r;

    while ((r = fleet_lock(f, err)) == 0) {
        if (*stop)
            return err_new(err, ECANCELED, "interrupted");
        if (clock_mono_ms() >= deadline)
            return err_new(err, ETIMEDOUT, "the keeper of fleet %s does not end", f->name);
        poll(NULL, 0, POLL_MS);
    }
    return r;
}

/* A keeper that does not answer: the socket says who listens there. */
static void kill_keeper(const struct fleet *f)
{
    CLEANUP_CLOSE int fd = -1, pidfd = -1;
    struct ucred who;
    socklen_t len = sizeof(who);

    if (fleet_connect(f, &fd, NULL) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return;
    pidfd = pidfd_open(who.pid, 0);
    /* It listens still, so this is it and nobody who got its number. */
    if (pidfd >= 0 && fleet_life(f) == FLEET_ALIVE)
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

static int take_down(const struct fleet_cmd *c)
{
    const struct request request = { .ask = ASK_DOWN };
    CLEANUP(progress_free) struct progress *progress = progress_new(stderr, options_width(stderr));
    const volatile sig_atomic_t *stop = signals_catch();
    CLEANUP_ERR struct err *err = NULL;
    struct answer answer = { 0 };

    if (fleet_ask(c->fleet, &request, DOWN_MS, progress, stop, &answer, &err) >= 0) {
        answer_done(&answer);
        printf("the fleet %s is down\n", c->fleet->name);
        return RIG_PASSED;
    }
    if (*stop) {
        fprintf(stderr, "not waiting for it: the fleet %s goes down by itself\n", c->fleet->name);
        return RIG_INT;
    }
    if (err_code(err) == ETIMEDOUT) {
        fprintf(stderr, "%s: killing it\n", err_text(err));
        kill_keeper(c->fleet);
    }
    err_free(steal_ptr(err));
    if (await_lock(c->fleet, KILLED_MS, stop, &err) < 0 || clear_away(c->fleet, &err) < 0)
        return fleet_cmd_error(*stop ? RIG_INT : RIG_FAILED, err);
    printf("the fleet %s is down\n", c->fleet->name);
    return RIG_PASSED;
}

int cmd_down(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    CLEANUP_ERR struct err *err = NULL;
    int code = fleet_cmd_open(args, &c);

    (void)userdata;
    if (code)
        return code;
    switch (fleet_life(c.fleet)) {
    case FLEET_NONE:
        printf("no fleet %s is up\n", c.fleet->name);
        return RIG_PASSED;
    case FLEET_DEAD:
        if (fleet_lock(c.fleet, &err) <= 0 || clear_away(c.fleet, &err) < 0)
            return fleet_cmd_error(RIG_FAILED, err);
        printf("the fleet %s had died: cleared away what it left\n", c.fleet->name);
        return RIG_PASSED;
    case FLEET_ALIVE:
        return take_down(&c);
    }
    return RIG_FAILED;
}
