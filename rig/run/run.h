/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Runs one scenario in a lab: steps, invariants, undo of open faults.
 *
 * A step first lets its checks remember what they compare with, then does its actions in order,
 * then asks its checks.
 *
 * `within`: the checks are asked in rounds, in the order in which they stand. A round ends at the
 * first that is not so; those behind it wait for their turn. The step has passed when every check
 * said yes in one and the same round. A round begun at the deadline is the last one; it asks all of
 * them, so that a failure names every mismatch and not only the first.
 * `holds`: every round asks all of them, and one that says no fails the step. A look that fails (an
 * error) is no breach, but the step passes only in a round that sees all of them hold.
 * `always`: asked in every step's waits, about once a second. One that says no fails the run, and
 * so does one that never could say anything.
 *
 * A check that says NEVER, and a component of the lab that died, fail the step at once. The steps
 * behind a failed one are skipped, but not those of `finally`. Then faults are taken back, newest
 * first, whatever happened; after an interrupt neither is done, since the lab goes down anyhow.
 */

#include <signal.h>

#include "rig/ledger/ledger.h"
#include "rig/run/result.h"

struct watcher { /* who is told while it runs; every member may be NULL */
    /* A step begins: all that is known of it by now. `number` of `of` steps. */
    void (*step)(const struct step_result *step, size_t number, size_t of, void *userdata);
    /* An action begins. */
    void (*acting)(const struct sentence *s, void *userdata);
    /* An action or an undo was done. `what`: "do", "fault", "undo", "failed". */
    void (*acted)(const struct sentence *s, const char *what, const char *note, void *userdata);
    /* After each look, also those at `always`: what was seen. */
    void (*looked)(const struct check_result *check, void *userdata);
    /* After each look of a step: what is waited for, since when, and what was last seen. */
    void (*waiting)(const struct check_result *check, int64_t waited_ms, int64_t limit_ms,
                    void *userdata);
    void (*done)(const struct step_result *result, void *userdata);
    void *userdata;
    const struct watcher *also; /* told next; NULL: nobody else */
};

struct run_config {
    struct lab *lab; /* up; handed to the verbs */
    const struct scenario *scenario;
    const struct watcher *watcher;                    /* may be NULL */
    const volatile sig_atomic_t *stop;                /* set: the run ends as RESULT_INTERRUPTED */
    int (*health)(struct lab *lab, struct err **err); /* what died; may be NULL */
    /* Something failed and nothing was taken back yet: the time to gather evidence. May be NULL. */
    void (*failed)(void *userdata);
    void *userdata;
    struct ledger *ledger; /* where faults are journalled; NULL: nowhere */
    double factor;         /* by which `within` is stretched, see rig/lab/calibrate.h; 0 is 1 */
    int64_t poll_ms;       /* shortest pause between rounds; 0: 200 */
    int64_t always_ms;     /* between looks at `always`; 0: 1000 */
};

/* Appends to *ret, which the caller zeroed or filled with run_result_add(). */
void run_scenario(const struct run_config *config, struct run_result *ret);
