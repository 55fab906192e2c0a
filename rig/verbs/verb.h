/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What rig/run calls for a sentence. A new verb is one line in verbs.def and one function.
 *
 * An action (do, fault) returns when it has been done, with the evidence in `note`. A check is
 * asked again and again: it looks once, without waiting for what it is asked about, and gives a
 * verdict with a sample: what it saw, in words that let a reader of a failed run understand.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "rig/scenario/scenario.h"
#include "rig/scenario/sentence.h"

struct lab;

enum verdict {
    VERDICT_NO, /* not (yet) so */
    VERDICT_YES,
    VERDICT_NEVER /* can no longer become so: what was awaited is terminally dead */
};

#define SAMPLE_MAX 600

struct sample {
    enum verdict verdict;
    char text[SAMPLE_MAX]; /* "edge-1: Reachable=False (last heartbeat 14:03:22Z)" */
};

/* The run as verbs see it. */
struct verb_run {
    struct lab *lab;
    const struct scenario *scenario;
    int64_t fault_wall_ms; /* when the last fault was done; 0 before any */
    int64_t step_wall_ms;  /* when the running step began */
    uint64_t round;        /* grows; looks of one round may share what they saw */
    json_t *memory;        /* what checks remember: an object, its members are the verbs' own */
};

struct verb_impl {
    /* do, fault: does it. `note` says what was really seen to happen; "" when that is clear. */
    int (*act)(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
               struct err **err);
    /* fault: takes it back at the end of the run, and succeeds when that was done before; NULL when
     * there is nothing to take back. */
    int (*undo)(struct verb_run *run, const struct sentence *s, struct err **err);
    /* do, fault: the faults that this one takes back, e.g. "restore power" those of "cut power";
     * NULL-terminated, NULL for none. Once it is done, an open fault by one of these verbs all of
     * whose parameters the sentence names, too, needs no undo any more; TEXT and numbers do not
     * count. */
    const struct verb_impl *const *heals;
    /* expect: before the step's actions, remembers what the check compares with. May be NULL. */
    int (*prepare)(struct verb_run *run, const struct sentence *s, struct err **err);
    /* expect: looks once. An error means that looking itself failed, which proves nothing; but
     * -EHOSTDOWN that what is asked does not run, and then the step waits no longer for it. */
    int (*check)(struct verb_run *run, const struct sentence *s, struct sample *ret,
                 struct err **err);
};

/* The table of verbs.def. */
extern const struct verb verb_table[];
extern const size_t verb_table_len;
