/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The rig's child processes: one supervisor, a log file per component, readiness by protocol, death
 * noticed at once. A child that the rig did not stop and that ends is a casualty: waits check for
 * it and fail with the component's last words instead of running into their deadline.
 *
 * It also is the service host of the embedded control plane (supervisor_service_host()).
 */

#include "base/err.h"
#include "base/proc.h"
#include "fleet/deploy/capability.h"

struct supervisor;

/* `dir` holds the run: logs/NAME.log, services/NAME/{config,data}. */
int supervisor_new(const char *dir, struct supervisor **ret, struct err **err);
/* Stops everything, newest first: TERM, then KILL after 5 s. */
void supervisor_free(struct supervisor *s);
DEFINE_CLEANUP(struct supervisor *, supervisor_free)

/* Where programs are found before PATH: "nats-server" -> its path. */
void supervisor_program(struct supervisor *s, const char *name, const char *path);

/* Starts a child by hand (etcd, API server, libvirtd); service_host is the usual way. */
int supervisor_start(struct supervisor *s, const char *name, char *const *argv, char *const *env,
                     struct err **err);
/* Faults and repairs by name. `signal` 9 kills; supervisor_restart() starts it again as before, on
 * the same ports and data. */
int supervisor_kill(struct supervisor *s, const char *name, int signal, struct err **err);
int supervisor_stop(struct supervisor *s, const char *name, struct err **err);
int supervisor_restart(struct supervisor *s, const char *name, struct err **err);
bool supervisor_running(const struct supervisor *s, const char *name);

/* 0 while every child that should run does; else an error "nats exited with status 1: LAST LINES". */
int supervisor_check(struct supervisor *s, struct err **err);
/* Path of a component's log. Owned by the supervisor; NULL for an unknown name. */
const char *supervisor_log(const struct supervisor *s, const char *name);
/* Resident memory in KiB, -1 when it does not run. */
long supervisor_rss_kb(const struct supervisor *s, const char *name);

/* The capability. Owned by the supervisor. `devices_see` is the address by which devices reach this
 * host's loopback: "10.0.2.2" with user networking. */
const struct service_host *supervisor_service_host(struct supervisor *s, const char *devices_see);

/* A TCP port on 127.0.0.1 that is free now. */
int port_free(uint16_t *ret, struct err **err);
