/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Runs one scenario in a lab: deploy, steps, invariants, undo of open faults, evidence.
 *
 * A step first lets its checks remember what they compare with, then does its actions in order, then
 * asks all its checks in rounds until every one says yes in the same round (`within`), or until one
 * says no (`holds`). A check that says NEVER, a component that died or a machine that vanished fails
 * the step at once. What was last seen, since when it is so, and how it differs is kept for every
 * check, so a failure names all of them and not only the first.
 */

#include <signal.h>

#include "rig/verbs/verb.h"

enum result { RESULT_PASSED, RESULT_FAILED, RESULT_SKIPPED, RESULT_INTERRUPTED };

struct watcher { /* who is told while it runs; every member may be NULL */
    void (*step)(const struct step *step, size_t number, void *userdata);
    /* About four times a second: the check that is waited for, since when, and what was last seen. */
    void (*waiting)(const struct sentence *s, int64_t waited_ms, int64_t limit_ms, const char *seen, void *userdata);
    void (*done)(const struct step *step, enum result result, int64_t took_ms, void *userdata);
    void *userdata;
};

struct check_result {
    const struct sentence *sentence;
    enum verdict verdict;
    char last[SAMPLE_MAX];  /* the last sample */
    int64_t changed_ms_ago; /* how long the sample had been the same when the step ended */
};

struct step_result {
    const struct step *step; /* NULL for the lab's own set-up */
    char *name;
    enum result result;
    int64_t took_ms;
    char *failure; /* text of what failed outside checks; NULL when none */
    struct check_result *checks;
    size_t n_checks;
};

struct run_result {
    enum result result;
    struct step_result *steps;
    size_t n_steps;
    int64_t took_ms;
    int64_t lab_ms;      /* provisioning */
    int64_t asked_ms;    /* time spent in the rig itself between looks, for its overhead */
};
void run_result_done(struct run_result *r);

/* `lab` is up. */
int run_scenario(struct lab *lab, const struct scenario *scenario, const struct watcher *watcher,
                 const volatile sig_atomic_t *stop, struct run_result *ret, struct err **err);
