/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Steps in a lab that stays up, one after the other; run_scenario() is made of it, and so are
 * `rig do` and `rig expect`. A session remembers what checks compare with, when the last fault was
 * done, and which faults are open; those are in the ledger before they are done. One thread at a
 * time.
 */

#include "rig/run/run.h"

struct session;

/* The config must outlive the session; `scenario` and `failed` of it mean nothing here. */
struct session *session_new(const struct run_config *config);
/* Takes nothing back: open faults stay as they are, and in the ledger. */
void session_free(struct session *s);
DEFINE_CLEANUP(struct session *, session_free)

/* Does the actions of the only step of `scenario`, then waits for its checks, as a run does.
 * Takes the scenario over, and keeps it as long as one of its faults is open. Always fills in *ret,
 * which is freed with step_result_done(). */
enum result session_run(struct session *s, struct scenario *scenario, struct step_result *ret);

struct open_fault {
    const char *sentence;
    int64_t wall_ms; /* when it was done */
};
/* The faults that nothing took back yet, oldest first; how many. The caller frees *ret (the array;
 * texts live until the next call). */
size_t session_faults(const struct session *s, struct open_fault **ret);
/* Takes all of them back, newest first, and goes on after one that cannot be; those stay open. The
 * error names each of them. */
int session_heal(struct session *s, struct err **err);
