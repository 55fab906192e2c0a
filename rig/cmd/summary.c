/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/summary.h"

#include "base/duration.h"
#include "base/strv.h"

#define NAME_WIDTH 52

static void add_row(struct buf *out, int indent, const char *name, int64_t ms, const char *remark)
{
    char text[DURATION_TEXT_MAX];

    buf_addf(out, "  %*s%-*s %9s%s%s\n", indent, "", NAME_WIDTH - indent, name,
             duration_format(ms, text), *remark ? "  " : "", remark);
}

/* A step that gives a device its power back recovers something: its time is the recovery time. */
static bool is_recovery(const struct step *step)
{
    for (size_t i = 0; i < step->n_actions; i++)
        if (str_starts(step->actions[i].verb->pattern, "restore power") && step->n_expects > 0)
            return true;
    return false;
}

static const char *remark(const struct summary *s, size_t i)
{
    const struct step_result *r = &s->result->steps[i];

    if (r->result != RESULT_PASSED)
        return result_text(r->result);
    if (i > 0 && i <= s->scenario->n_steps && is_recovery(&s->scenario->steps[i - 1]))
        return "recovery: power on to all of it so";
    return "";
}

/* What the rig costs beside what it waits for: its processor time, and how long steps went on after
 * what they waited for had come, at most. */
static void add_overhead(const struct summary *s, struct buf *out)
{
    char cpu[DURATION_TEXT_MAX], late[DURATION_TEXT_MAX];
    int64_t late_ms = 0;

    for (size_t i = 0; i < s->result->n_steps; i++)
        late_ms += s->result->steps[i].late_ms;
    buf_addf(out,
             "  rig's own share: %.1f%% (%s of its own processor time, at most %s noticed late)\n",
             s->total_ms > 0 ? 100.0 * (double)(s->cpu_ms + late_ms) / (double)s->total_ms : 0.0,
             duration_format(s->cpu_ms, cpu), duration_format(late_ms, late));
}

void summary_text(const struct summary *s, struct buf *out)
{
    buf_addf(out, "%s %s\n", s->scenario->name, result_text(s->result->result));
    for (size_t i = 0; i < s->result->n_steps; i++) {
        add_row(out, 0, s->result->steps[i].name, s->result->steps[i].took_ms, remark(s, i));
        for (size_t p = 0; i == 0 && p < s->n_phases; p++)
            add_row(out, 2, s->phases[p].name, s->phases[p].end_ms - s->phases[p].start_ms, "");
    }
    add_row(out, 0, "taking the lab down", s->down_ms, "");
    add_row(out, 0, "total", s->total_ms, "");
    add_overhead(s, out);
}
