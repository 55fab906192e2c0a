/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/run.h"

#include "rig/run/engine.h"

static struct step_result *add_step(struct run_result *r, const char *name, enum result result)
{
    run_result_add(r, name, result, 0, NULL);
    return &r->steps[r->n_steps - 1];
}

static void skip_step(struct run_result *r, const struct step *step, size_t number)
{
    add_step(r, step->name, RESULT_SKIPPED)->number = number;
}

/* Appended; its result. */
static enum result run_step(struct session *s, const struct step *step, size_t number,
                            struct run_result *ret)
{
    const struct scenario *scenario = s->config->scenario;
    struct step_result result = { 0 };

    session_step(s, scenario, step, number, scenario->n_steps + scenario->n_finally, &result);
    ret->steps = xreallocarray(ret->steps, ret->n_steps + 1, sizeof(*ret->steps));
    ret->steps[ret->n_steps++] = result;
    ret->took_ms += result.took_ms;
    return result.result;
}

/* The invariants as a step of their own at the end. Takes `results`. */
static void judge_always(struct session *s, struct check_result *results, struct run_result *ret)
{
    if (s->always.n == 0) {
        free(results);
        return;
    }
    s->step = add_step(ret, "always", s->broken ? RESULT_FAILED : RESULT_PASSED);
    s->step->checks = results;
    s->step->n_checks = s->always.n;
    for (size_t i = 0; i < s->always.n; i++) {
        if (s->always.items[i].conclusive || ret->result != RESULT_PASSED)
            continue;
        fail_step(s, "never conclusively probed: %s", results[i].sentence);
        s->step->result = RESULT_FAILED;
    }
    if (s->broken)
        fail_step(s, "what must always be so was not");
    if (s->step->result == RESULT_FAILED && ret->result == RESULT_PASSED)
        ret->result = RESULT_FAILED;
    looks_close(&s->always);
    tell_done(s);
}

/* Something failed and nothing was taken back yet. Once. */
static void tell_failed(struct session *s, const struct run_result *ret, bool *told)
{
    if (ret->result == RESULT_FAILED && s->config->failed && !*told) {
        *told = true;
        s->config->failed(s->config->userdata);
    }
}

/* Each of them, whatever happened before, unless somebody wants it to end. */
static void run_finally(struct session *s, struct run_result *ret)
{
    const struct scenario *scenario = s->config->scenario;

    for (size_t i = 0; i < scenario->n_finally; i++) {
        const struct step *step = &scenario->finally[i];
        size_t number = scenario->n_steps + i + 1;

        if (interrupted(s))
            skip_step(ret, step, number);
        else if (run_step(s, step, number, ret) == RESULT_FAILED)
            ret->result = RESULT_FAILED;
        if (interrupted(s) && ret->result == RESULT_PASSED)
            ret->result = RESULT_INTERRUPTED;
    }
}

/* Newest first. Not after an interrupt: the lab goes down anyhow, and its ledger with it. */
static void undo_faults(struct session *s, struct run_result *ret)
{
    for (size_t i = s->n_faults; i-- > 0 && !interrupted(s);) {
        CLEANUP_ERR struct err *err = NULL;

        if (fault_undo(s, i, &err) >= 0 || interrupted(s))
            continue;
        s->step = add_step(ret, "taking faults back", RESULT_FAILED);
        ret->result = RESULT_FAILED;
        fail_step(s, "%s", err_text(err));
        tell_done(s);
    }
}

void run_scenario(const struct run_config *config, struct run_result *ret)
{
    const struct scenario *scenario = config->scenario;
    struct check_result *always = results_new(scenario->always, scenario->n_always);
    bool told = false;
    struct session s;

    session_init(&s, config);
    s.always = looks_new(scenario->always, always, scenario->n_always, clock_mono_ms());
    for (size_t i = 0; i < scenario->n_steps; i++) {
        if (ret->result == RESULT_PASSED)
            ret->result = run_step(&s, &scenario->steps[i], i + 1, ret);
        else
            skip_step(ret, &scenario->steps[i], i + 1);
    }
    judge_always(&s, always, ret);
    tell_failed(&s, ret, &told);
    run_finally(&s, ret);
    tell_failed(&s, ret, &told);
    undo_faults(&s, ret);
    session_done(&s);
}
