/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/result.h"

#include <stdlib.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

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

const char *check_text(enum verdict verdict, bool blind)
{
    if (blind)
        return "blind";
    return verdict == VERDICT_YES ? "yes" : verdict == VERDICT_NEVER ? "never" : "no";
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
    for (size_t i = 0; i < scenario->n_steps + scenario->n_finally; i++) {
        const struct step *step = i < scenario->n_steps ? &scenario->steps[i]
                                                        : &scenario->finally[i - scenario->n_steps];

        run_result_add(r, step->name, RESULT_SKIPPED, 0, NULL);
        r->steps[r->n_steps - 1].number = i + 1;
    }
}

void step_result_done(struct step_result *s)
{
    for (size_t i = 0; i < s->n_checks; i++) {
        free(s->checks[i].sentence);
        for (size_t j = 0; j < s->checks[i].n_seen; j++)
            free(s->checks[i].seen[j].text);
    }
    free(s->checks);
    free(s->name);
    free(s->failure);
    strv_free(s->closest_missed);
    *s = (struct step_result){ 0 };
}

void run_result_done(struct run_result *r)
{
    for (size_t i = 0; i < r->n_steps; i++)
        step_result_done(&r->steps[i]);
    free(r->steps);
    *r = (struct run_result){ 0 };
}

char *step_result_limit(const struct step_result *step, char text[static LIMIT_TEXT_MAX])
{
    char limit[DURATION_TEXT_MAX];

    text[0] = '\0';
    if (step->n_checks == 0)
        return text;
    duration_format(step->holds_ms ? step->holds_ms : step->within_ms, limit);
    if (step->holds_ms || step->factor <= 1)
        snprintf(text, LIMIT_TEXT_MAX, "%s %s", step->holds_ms ? "holds" : "within", limit);
    else
        snprintf(text, LIMIT_TEXT_MAX, "within %s (x%.1f)", limit, step->factor);
    return text;
}

/* What was seen before that, newest first. */
static void explain_past(const struct check_result *c, struct buf *out)
{
    char at[DURATION_TEXT_MAX], lasted[DURATION_TEXT_MAX];

    for (size_t i = c->n_seen; i-- > 1;) {
        const struct check_seen *s = &c->seen[i - 1];

        buf_addf(out, "          before, at %s for %s: %s%s\n", duration_format(s->at_ms, at),
                 duration_format(s->for_ms, lasted),
                 s->blind                    ? "could not look: "
                 : s->verdict == VERDICT_YES ? "so: "
                                             : "",
                 s->text);
    }
}

static void explain_check(const struct check_result *c, struct buf *out)
{
    char ago[DURATION_TEXT_MAX], same[DURATION_TEXT_MAX];

    if (!c->asked) {
        buf_addf(out, "  not looked at: %s\n", c->sentence);
        return;
    }
    if (c->verdict == VERDICT_YES) {
        buf_addf(out, "  so:     %s\n", c->sentence);
        return;
    }
    duration_format(c->asked_ms_ago, ago);
    duration_format(c->same_ms, same);
    buf_addf(out, "  not so: %s\n", c->sentence);
    buf_addf(out, "          %s: %s\n", c->blind ? "could not look" : "last seen", c->last);
    buf_addf(out, "          looked %s ago; the same for %s\n", ago, same);
    explain_past(c, out);
}

static void explain_closest(const struct step_result *step, struct buf *out)
{
    char at[DURATION_TEXT_MAX];

    if (step->closest_held == 0)
        return;
    buf_addf(out, "  closest at %s: %zu of %zu held, but not\n",
             duration_format(step->closest_ms, at), step->closest_held, step->n_checks);
    for (char *const *m = step->closest_missed; m && *m; m++)
        buf_addf(out, "          %s\n", *m);
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
    explain_closest(step, out);
}
