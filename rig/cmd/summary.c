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
static bool is_recovery(const struct history *h, const struct step_result *step)
{
    for (size_t i = 0; step->n_checks > 0 && i < h->n_events; i++) {
        const struct history_event *e = &h->events[i];

        if (e->kind == HISTORY_ACTION && e->step == step->number && str_eq(e->what, "fault") &&
            str_starts(e->text, "restore power"))
            return true;
    }
    return false;
}

static const char *remark(const struct history *h, const struct step_result *step)
{
    if (step->result != RESULT_PASSED)
        return result_text(step->result);
    return step->number > 0 && is_recovery(h, step) ? "recovery: power on to all of it so" : "";
}

/* When the phase that began at event `i` ended; one that did not has gone on until the lab failed. */
static int64_t phase_end_ms(const struct history *h, size_t i, bool *ret_ended)
{
    for (size_t j = i + 1; j < h->n_events; j++) {
        const struct history_event *e = &h->events[j];

        *ret_ended = e->kind == HISTORY_PHASE;
        if (e->kind == HISTORY_STEP ||
            (*ret_ended && str_eq(e->what, "end") && str_eq(e->text, h->events[i].text)))
            return e->at_ms;
    }
    *ret_ended = false;
    return h->events[h->n_events - 1].at_ms;
}

/* In the order in which they began. */
static void add_phases(const struct history *h, struct buf *out)
{
    for (size_t i = 0; i < h->n_events; i++) {
        const struct history_event *begin = &h->events[i];
        int64_t end_ms;
        bool ended;

        if (begin->kind != HISTORY_PHASE || !str_eq(begin->what, "begin"))
            continue;
        end_ms = phase_end_ms(h, i, &ended);
        add_row(out, 2, begin->text, end_ms - begin->at_ms, ended ? "" : "did not end");
    }
}

/* What the rig costs beside what it waits for: its processor time, and how long steps went on after
 * what they waited for had come, at most. */
static void add_overhead(const struct history *h, struct buf *out)
{
    char cpu[DURATION_TEXT_MAX], late[DURATION_TEXT_MAX];
    int64_t late_ms = 0;

    for (size_t i = 0; i < h->result.n_steps; i++)
        late_ms += h->result.steps[i].late_ms;
    buf_addf(
            out,
            "  rig's own processor time: %s, %.1f%% of the run; what steps waited for was noticed at "
            "most %s late in all\n",
            duration_format(h->cpu_ms, cpu),
            h->total_ms > 0 ? 100.0 * (double)h->cpu_ms / (double)h->total_ms : 0.0,
            duration_format(late_ms, late));
}

void summary_text(const struct history *h, struct buf *out)
{
    buf_addf(out, "%s %s\n", h->run.scenario, result_text(h->result.result));
    for (size_t i = 0; i < h->result.n_steps; i++) {
        const struct step_result *step = &h->result.steps[i];

        add_row(out, 0, step->name, step->took_ms, remark(h, step));
        if (i == 0)
            add_phases(h, out);
    }
    if (!h->ended) {
        buf_adds(out, "  it did not end\n");
        return;
    }
    add_row(out, 0, "taking the lab down", h->down_ms, "");
    add_row(out, 0, "total", h->total_ms, "");
    add_overhead(h, out);
}
