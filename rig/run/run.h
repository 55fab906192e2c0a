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
 * behind a failed one are skipped. Faults are taken back at the end, newest first, whatever
 * happened.
 */

#include <signal.h>

#include "rig/verbs/verb.h"

enum result { RESULT_PASSED, RESULT_FAILED, RESULT_SKIPPED, RESULT_INTERRUPTED };

struct check_result {
    const struct sentence *sentence;
    enum verdict verdict;
    bool asked;            /* ever */
    bool blind;            /* the last look failed: `last` is its error */
    char last[SAMPLE_MAX]; /* the last sample */
    int64_t asked_ms_ago,
            same_ms; /* at the step's end: since the last look, and since it changed */
};

struct step_result {
    char *name;
    enum result result;
    int64_t took_ms;
    int64_t within_ms, holds_ms; /* as the step has them */
    /* `within`: at most so long did the step go on after all checks had become so. */
    int64_t late_ms;
    char *failure; /* what failed; NULL when nothing did. The mismatches are in the checks */
    struct check_result *checks;
    size_t n_checks;
};

struct run_result {
    enum result result;
    struct step_result *steps;
    size_t n_steps;
    int64_t took_ms; /* all steps */
};
/* Appends a step; for the lab's own set-up, before run_scenario(). A failed one fails the run.
 * `failure` may be NULL. */
void run_result_add(struct run_result *r, const char *name, enum result result, int64_t took_ms,
                    const char *failure);
/* Appends every step of the scenario as skipped: for a lab that did not come up. */
void run_result_skip(struct run_result *r, const struct scenario *scenario);
void run_result_done(struct run_result *r);
const char *result_text(enum result result); /* "passed", ... */

/* What failed in a step, for people, each line indented by two spaces: the sentence, what was last
 * seen and since when, for all that did not hold. "" when it passed. */
void step_result_explain(const struct step_result *step, struct buf *out);

struct watcher { /* who is told while it runs; every member may be NULL */
    void (*step)(const struct step *step, size_t number, size_t of, void *userdata);
    void (*acted)(const struct sentence *s, const char *note, void *userdata);
    /* After each look: what is waited for, since when, and what was last seen. */
    void (*waiting)(const struct check_result *check, int64_t waited_ms, int64_t limit_ms,
                    void *userdata);
    void (*done)(const struct step_result *result, void *userdata);
    void *userdata;
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
    int64_t poll_ms;   /* shortest pause between rounds; 0: 200 */
    int64_t always_ms; /* between looks at `always`; 0: 1000 */
};

/* Appends to *ret, which the caller zeroed or filled with run_result_add(). The results borrow from
 * the scenario. */
void run_scenario(const struct run_config *config, struct run_result *ret);
