/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What became of a run, as data that owns its texts: it outlives its scenario, and is rebuilt from
 * a history. */

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "rig/verbs/verb.h"

enum result { RESULT_PASSED, RESULT_FAILED, RESULT_SKIPPED, RESULT_INTERRUPTED };
const char *result_text(enum result result); /* "passed", ... */

#define CHECK_SEEN_MAX 8

/* What a check saw for a while. */
struct check_seen {
    int64_t at_ms;  /* first, since the step began to wait; of an invariant: since the run began */
    int64_t for_ms; /* until something else was seen, or else until the last look */
    enum verdict verdict;
    bool blind; /* the look failed: `text` is its error */
    char *text;
};

struct check_result {
    char *sentence;
    enum verdict verdict;
    bool asked;            /* ever */
    bool blind;            /* the last look failed: `last` is its error */
    char last[SAMPLE_MAX]; /* the last sample */
    int64_t asked_ms_ago,
            same_ms; /* at the step's end: since the last look, and since it changed */
    /* The last different ones, oldest first; the last of them is `last`. */
    struct check_seen seen[CHECK_SEEN_MAX];
    size_t n_seen;
};
/* "yes", "no", "never", "blind". */
const char *check_text(enum verdict verdict, bool blind);

struct step_result {
    char *name;
    size_t number; /* of the scenario's step, from 1; 0 for the lab and what is not in the file */
    enum result result;
    int64_t took_ms;
    int64_t within_ms, holds_ms; /* as the step has them */
    double factor;               /* by which `within` was stretched; 0 is 1 */
    /* `within`: at most so long did the step go on after all checks had become so. */
    int64_t late_ms;
    char *failure; /* what failed; NULL when nothing did. The mismatches are in the checks */
    struct check_result *checks;
    size_t n_checks;
    /* The round in which most checks held, when that were more than at the end. */
    size_t closest_held;   /* 0: there is none */
    int64_t closest_ms;    /* since the step began to wait */
    char **closest_missed; /* strv: those that did not hold then, "sentence: what was seen" */
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
void step_result_done(struct step_result *step);

/* What failed in a step, for people, each line indented by two spaces: the sentence, what was last
 * seen and since when, and before that, for all that did not hold. "" when it passed. */
void step_result_explain(const struct step_result *step, struct buf *out);
/* "within 2m00s", "within 2m00s (x1.6)", "holds 20s"; "" for a step that waits for nothing. */
#define LIMIT_TEXT_MAX 64
char *step_result_limit(const struct step_result *step, char text[static LIMIT_TEXT_MAX]);

/* To and from JSON, for the history. Bytes that are no text are replaced (report_clean()). New
 * references. */
json_t *step_result_json(const struct step_result *step);
json_t *run_result_json(const struct run_result *r);
/* 0, or -EPROTO. *ret is untouched then. */
int step_result_parse(const json_t *value, struct step_result *ret, struct err **err);
int run_result_parse(const json_t *value, struct run_result *ret, struct err **err);
