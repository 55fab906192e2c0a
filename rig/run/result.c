/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdlib.h>

#include "base/duration.h"
#include "base/mem.h"
#include "rig/run/run.h"

const char *result_text(enum result result)
{
    switch (result) {
    case RESULT_PASSED:
        return "passed";
    case RESULT_FAILED:
        return "failed";
    case RESULT_SKIPPED:
        return "skipped";
    case RESULT_INTERRUPTED:
        return "interrupted";
    }
    abort();
}

void run_result_add(struct run_result *r, const char *name, enum result result, int64_t took_ms,
                    const char *failure)
{
    r->steps = xreallocarray(r->steps, r->n_steps + 1, sizeof(*r->steps));
    r->steps[r->n_steps++] = (struct step_result){
        .name = xstrdup(name), .result = result, .took_ms = took_ms, .failure = xstrdup(failure)
    };
    if (result == RESULT_FAILED || result == RESULT_INTERRUPTED)
        r->result = result;
}

void run_result_skip(struct run_result *r, const struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->n_steps; i++)
        run_result_add(r, scenario->steps[i].name, RESULT_SKIPPED, 0, NULL);
}

void run_result_done(struct run_result *r)
{
    for (size_t i = 0; i < r->n_steps; i++) {
        free(r->steps[i].name);
        free(r->steps[i].failure);
        free(r->steps[i].checks);
    }
    free(r->steps);
    *r = (struct run_result){ 0 };
}

static void explain_check(const struct check_result *c, struct buf *out)
{
    char ago[DURATION_TEXT_MAX], same[DURATION_TEXT_MAX];

    if (!c->asked) {
        buf_addf(out, "  not looked at: %s\n", c->sentence->text);
        return;
    }
    if (c->verdict == VERDICT_YES) {
        buf_addf(out, "  so:     %s\n", c->sentence->text);
        return;
    }
    duration_format(c->asked_ms_ago, ago);
    duration_format(c->same_ms, same);
    buf_addf(out, "  not so: %s\n", c->sentence->text);
    buf_addf(out, "          %s: %s\n", c->blind ? "could not look" : "last seen", c->last);
    buf_addf(out, "          looked %s ago; the same for %s\n", ago, same);
}

static void add_indented(struct buf *out, const char *text)
{
    buf_adds(out, "  ");
    for (; *text; text++) {
        buf_addc(out, *text);
        if (*text == '\n' && text[1])
            buf_adds(out, "  ");
    }
    buf_addc(out, '\n');
}

void step_result_explain(const struct step_result *step, struct buf *out)
{
    if (step->result == RESULT_PASSED || step->result == RESULT_SKIPPED)
        return;
    if (step->failure)
        add_indented(out, step->failure);
    for (size_t i = 0; i < step->n_checks; i++)
        explain_check(&step->checks[i], out);
}
