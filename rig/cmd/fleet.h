/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The folder of a fleet that stays up, CACHE/fleets/NAME/: `lock`, held by its keeper as long as
 * that lives, and before by the command that starts it; `socket`, where the keeper listens
 * (rig/cmd/fleet_wire.h); state.json (rig/cmd/fleet_state.h); keeper.log; lab/, the lab; and what
 * programs of others need: known_hosts and nats-password. With the fleet the folder goes.
 *
 * A lock cannot outlive its process, so a folder whose lock is free is what a dead keeper left.
 */

#include <stdbool.h>
#include <stdint.h>

#include "rig/cmd/fleet_state.h"
#include "rig/cmd/place.h"

#define FLEET_NAME "local" /* where no other is given */
#define FLEET_STATE "state.json"

struct fleet {
    char *name, *dir;
    int lock_fd; /* -1: not ours */
};

/* Needs nothing to be there; a bad name is an error. */
int fleet_new(const struct place *place, const char *name, struct fleet **ret, struct err **err);
/* Lets go of the lock. */
void fleet_free(struct fleet *f);
DEFINE_CLEANUP(struct fleet *, fleet_free)
/* DIR/NAME. The caller frees it. */
char *fleet_path(const struct fleet *f, const char *name);

enum fleet_life { FLEET_NONE, FLEET_DEAD, FLEET_ALIVE };
enum fleet_life fleet_life(const struct fleet *f);

/* Makes the folder and takes the lock: 1, or 0 when another process holds it. */
int fleet_lock(struct fleet *f, struct err **err);
/* Removes what is in the folder but the lock, which must be held. */
int fleet_clear(const struct fleet *f, struct err **err);
/* Removes the folder, which is empty but for the lock. The lock is held on. */
int fleet_remove(const struct fleet *f, struct err **err);

/* The socket lies too deep for a sockaddr_un in many homes: both go through the folder's own entry in
 * /proc/self/fd. */
int fleet_listen(const struct fleet *f, int *ret_fd, struct err **err);
/* -ECONNREFUSED and -ENOENT: nobody listens. */
int fleet_connect(const struct fleet *f, int *ret_fd, struct err **err);

/* The state of a fleet that is up; else an error that says what to do. */
int fleet_need(const struct fleet *f, struct fleet_state *ret, struct err **err);
