/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What keeper.c (the fleet's life), keeper_state.c (what others are told of it) and keeper_work.c
 * (requests) share. */

#include "rig/cmd/keeper.h"
#include "rig/cmd/keeper_server.h"
#include "rig/run/progress.h"
#include "rig/run/session.h"

struct keeper_device { /* written by the thread to which something happens, read by the lab's */
    _Atomic int64_t since_wall_ms; /* when power came or went last */
    _Atomic int64_t boot_ms;       /* from power on to the first login; -1: not yet */
};

struct keeper {
    const struct keeper_config *config;
    struct progress *log;
    struct keeper_server *server;
    struct ledger *ledger;
    struct lab *lab;
    struct session *session;
    struct run_config session_config;
    struct watcher watcher;
    struct fleet_state state;
    struct keeper_device *devices;
    const struct request *request; /* the running one */
};

/* Writes what other programs need (known_hosts, nats-password) and the state of a fleet that is up. */
int keeper_write_state(struct keeper *k, struct err **err);
/* Takes notes of power and boots. */
lab_on_event keeper_on_event;
/* Looks at the lab, and makes what is seen the answer to "status". */
void keeper_look(struct keeper *k);

/* Does the request and answers it. */
void keeper_work(struct keeper *k, const struct request *request);
/* Fills in `session_config`, and makes the session. */
void keeper_work_begin(struct keeper *k);
