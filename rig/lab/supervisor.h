/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The rig's child processes: one supervisor, a log file per component, readiness by protocol, death
 * noticed at once. A child that the rig did not stop and that ends is a casualty: waits check for
 * it and fail with the component's last words instead of running into their deadline. Hints name the
 * log relative to the run's folder, since it is at the same place in the evidence.
 *
 * Any thread may call; a child ends with the thread that started it, unless it outlives.
 *
 * It also is the service host of the embedded control plane (supervisor_service_host()).
 */

#include <signal.h>

#include "base/err.h"
#include "base/proc.h"
#include "fleet/deploy/capability.h"
#include "rig/lab/event.h"

struct ledger;
struct supervisor;
struct lossy_count;

/* `dir` holds the run: logs/NAME.log, services/NAME/{config,data}. */
int supervisor_new(const char *dir, struct supervisor **ret, struct err **err);
/* Stops everything, newest first: TERM, then KILL after 5 s. */
void supervisor_free(struct supervisor *s);
DEFINE_CLEANUP(struct supervisor *, supervisor_free)

/* A flag that ends every wait of the lab with -ECANCELED once it is set. NULL: none. */
void supervisor_stop_flag(struct supervisor *s, const volatile sig_atomic_t *stop);
/* How slow this host is (rig/lab/calibrate.h): supervisor_wait() waits that much longer. */
void supervisor_scale(struct supervisor *s, double factor);
/* The same from within: one of several threads failed, and the others need not go on. */
void supervisor_cancel(struct supervisor *s, bool cancel);
/* 0, or -ECANCELED when the flag is set. */
int supervisor_interrupted(const struct supervisor *s, struct err **err);

/* Who hears what happens to children, and to whatever else supervisor_tell() is called for. */
void supervisor_listen(struct supervisor *s, lab_on_event *event, void *userdata);
void supervisor_tell(const struct supervisor *s, enum lab_event_kind kind, const char *lane,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Where children are noted while they live, and the lab's machines. Borrowed; NULL: nowhere. */
void supervisor_journal(struct supervisor *s, struct ledger *ledger);
struct ledger *supervisor_ledger(const struct supervisor *s);

/* Where programs are found before PATH: "nats-server" -> its path. */
void supervisor_program(struct supervisor *s, const char *name, const char *path);

/* Starts a child by hand (API server, libvirtd); service_host is the usual way. */
int supervisor_start(struct supervisor *s, const char *name, char *const *argv, char *const *env,
                     struct err **err);
/* The same with `outlive`, `prepare` and `userdata` of the spec, which must stay valid; its output
 * goes to the log and it gets a process group of its own in any case. */
int supervisor_start_spec(struct supervisor *s, const char *name, const struct proc_spec *spec,
                          struct err **err);
/* Waits until `ready` returns 0 (asked every 50 ms). Fails at once when the child ends, with its
 * last words, and after `timeout_ms` with what `ready` said last. */
int supervisor_wait(struct supervisor *s, const char *name,
                    int (*ready)(void *userdata, struct err **err), void *userdata,
                    int64_t timeout_ms, struct err **err);

/* Faults and repairs by name. A child that was sent KILL or TERM here is no casualty.
 * supervisor_restart() starts it again as before, on the same ports and data, and waits until a
 * service is ready again. */
int supervisor_kill(struct supervisor *s, const char *name, int signal, struct err **err);
int supervisor_stop(struct supervisor *s, const char *name, struct err **err);
int supervisor_restart(struct supervisor *s, const char *name, struct err **err);
bool supervisor_running(const struct supervisor *s, const char *name);

/* Names of services (NULL-terminated, copied) whose disks can lose what was not synced, as in a power
 * cut; see rig/lab/lossy.h. To be said before they start. */
void supervisor_lossy(struct supervisor *s, const char *const *names);
bool supervisor_is_lossy(const struct supervisor *s, const char *name);
/* Kills the service, and its disk forgets what was not synced. supervisor_restart() brings it back.
 */
int supervisor_drop_unsynced(struct supervisor *s, const char *name, struct lossy_count *ret,
                             struct err **err);
/* The disk takes in what was written so far, as it does by and by without being asked. */
int supervisor_sync_disk(struct supervisor *s, const char *name, struct lossy_count *ret,
                         struct err **err);

/* 0 while every child that should run does; else an error "nats exited with status 1: LAST LINES". */
int supervisor_check(struct supervisor *s, struct err **err);
/* Path of a component's log. Owned by the supervisor; NULL for an unknown name. */
const char *supervisor_log(const struct supervisor *s, const char *name);
/* strv of all components that were ever started, oldest first. The caller frees it. */
char **supervisor_names(const struct supervisor *s);
/* 0 when it does not run. */
pid_t supervisor_pid(const struct supervisor *s, const char *name);

/* The capability. Owned by the supervisor. `devices_see` is the address by which devices reach this
 * host's loopback: "10.0.2.2" with user networking; NULL: as said before, if ever. */
const struct service_host *supervisor_service_host(struct supervisor *s, const char *devices_see);

/* A TCP port on 127.0.0.1 that is free now. */
int port_free(uint16_t *ret, struct err **err);
