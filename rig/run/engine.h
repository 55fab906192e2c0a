/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Inside rig/run: what steps, waits and open faults share. */

#include "base/clock.h"
#include "base/mem.h"
#include "rig/run/session.h"

/* Of a step: GOING until something decides it. */
enum state { GOING, PASSED, FAILED, INTERRUPTED };

/* A check with what the engine needs of its past. */
struct look {
    const struct sentence *sentence;
    struct check_result *result;
    uint64_t round;      /* in which it was last asked */
    int64_t asked_at_ms; /* when the last look ended */
    int64_t same_at_ms;  /* when the sample last changed */
    int64_t zero_ms;     /* times of samples count from here */
    bool conclusive;     /* it was seen at least once, with an answer */
};

struct looks {
    struct look *items;
    size_t n;
};

struct fault {
    const struct sentence *sentence;
    const struct scenario *scenario; /* whose sentence it is */
    uint64_t id;                     /* in the ledger */
    int64_t wall_ms;
};

struct session {
    const struct run_config *config;
    struct verb_run run;

    struct looks always;
    int64_t always_due_ms;
    bool broken; /* an invariant was */

    struct fault *faults; /* open ones, in order */
    size_t n_faults, cap_faults;
    struct scenario **kept; /* owned */
    size_t n_kept, cap_kept;

    /* Of the running step. */
    struct step_result *step;
    struct looks checks;
    int64_t began_ms, limit_ms;
    int64_t last_no_ms; /* end of the last look that did not say yes */
};

static inline bool interrupted(const struct session *s)
{
    return s->config->stop && *s->config->stop;
}

void fail_step(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tell_acted(const struct session *s, const struct sentence *sentence, const char *what,
                const char *note);

/* --- wait.c --- */

/* `zero_ms`: times of samples count from there. */
struct looks looks_new(const struct sentence *list, struct check_result *results, size_t n,
                       int64_t zero_ms);
struct check_result *results_new(const struct sentence *list, size_t n);
/* Fills in what the results say about the end. */
void looks_close(struct looks *l);
/* What ends a step whatever its checks say. */
enum state look_for_trouble(struct session *s);
/* Until the checks of the running step decide it. */
enum state wait_checks(struct session *s, const struct step *step);

/* --- faults.c --- */

/* Before it is done: one that fails halfway is taken back, too. Nothing for one without undo. */
int fault_open(struct session *s, const struct sentence *sentence, struct err **err);
/* The action was done: what it takes back needs no undo any more. */
void faults_healed_by(struct session *s, const struct sentence *sentence);
/* Takes the fault of this index back and forgets it; it stays when that fails. */
int fault_undo(struct session *s, size_t i, struct err **err);

/* --- session.c --- */

void session_init(struct session *s, const struct run_config *config);
void session_done(struct session *s);
/* One step of a scenario that outlives the session. `ret` is zeroed. */
enum result session_step(struct session *s, const struct scenario *scenario,
                         const struct step *step, size_t number, size_t of,
                         struct step_result *ret);
void tell_done(const struct session *s);
