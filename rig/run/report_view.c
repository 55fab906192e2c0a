/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/report_view.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

#define LANES_MAX 96

const char *view_time(int64_t ms, char text[static 32])
{
    return duration_format(ms < 0 ? 0 : ms, text);
}

const char *view_mark(enum result result)
{
    static const char *const marks[] = { "\u2713", "\u2717", "\u2013", "\u25a0" };

    return marks[result];
}

bool view_mentions(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = text; len && (at = strstr(at, word)); at++) {
        bool before = at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '-');
        bool after = isalnum((unsigned char)at[len]) || at[len] == '-';

        if (!before && !after)
            return true;
    }
    return false;
}

/* --- Steps: results, with the times of their events ------------------------------------------ */

/* The next beginning of a step of this name, from *at on. */
static const struct history_event *next_begin(const struct history *h, const char *name, size_t *at)
{
    for (size_t i = *at; i < h->n_events; i++)
        if (h->events[i].kind == HISTORY_STEP && str_eq(h->events[i].what, "begin") &&
            str_eq(h->events[i].text, name)) {
            *at = i + 1;
            return &h->events[i];
        }
    return NULL;
}

static int64_t end_of(const struct view *v, const struct history_event *begin)
{
    for (const struct history_event *e = begin + 1; e < v->h->events + v->h->n_events; e++)
        if (e->kind == HISTORY_STEP)
            return e->at_ms;
    return v->end_ms;
}

static void add_steps(struct view *v)
{
    const struct run_result *r = &v->h->result;
    size_t at = 0;

    v->steps = xcalloc(r->n_steps + 1, sizeof(*v->steps));
    for (; v->n_steps < r->n_steps; v->n_steps++) {
        struct view_step *s = &v->steps[v->n_steps];
        const struct history_event *begin;

        s->result = &r->steps[v->n_steps];
        begin = next_begin(v->h, s->result->name, &at);
        if (begin) {
            s->number = begin->step;
            s->at_ms = begin->at_ms;
            s->end_ms = end_of(v, begin);
        } else if (v->n_steps == 0) { /* bringing the lab up comes first */
            s->end_ms = s->result->took_ms;
        }
        s->timed = begin || (v->n_steps == 0 && s->end_ms > 0);
    }
}

/* --- Lanes ----------------------------------------------------------------------------------- */

static void add_lane(struct view *v, const char *name)
{
    if (name && *name && strv_len(v->lanes) < LANES_MAX && !strv_has(v->lanes, name))
        strv_add(&v->lanes, name);
}

static void add_lanes(struct view *v)
{
    for (char **d = v->h->run.devices; d && *d; d++)
        add_lane(v, *d);
    for (char **c = v->h->run.components; c && *c; c++)
        add_lane(v, *c);
    for (size_t i = 0; i < v->h->n_events; i++)
        if (v->h->events[i].kind == HISTORY_LANE)
            add_lane(v, v->h->events[i].lane);
}

/* --- All of it ------------------------------------------------------------------------------- */

static int64_t clock_end(const struct history *h)
{
    int64_t end = h->total_ms > 1 ? h->total_ms : 1;

    for (size_t i = 0; i < h->n_events; i++)
        if (h->events[i].at_ms > end)
            end = h->events[i].at_ms;
    return end;
}

void view_init(struct view *v, const struct report_html *in, struct buf *out)
{
    *v = (struct view){ .html = { .out = out, .secrets = in->secrets },
                        .in = in,
                        .h = in->history };
    v->end_ms = v->down_ms = clock_end(v->h);
    for (size_t i = 0; i < v->h->n_events; i++)
        if (v->h->events[i].kind == HISTORY_NOTE && str_eq(v->h->events[i].what, "down"))
            v->down_ms = v->h->events[i].at_ms;
    add_steps(v);
    add_lanes(v);
}

void view_done(struct view *v)
{
    free(v->steps);
    strv_free(v->lanes);
}

const struct view_step *view_failed(const struct view *v)
{
    for (size_t i = 0; i < v->n_steps; i++)
        if (v->steps[i].result->result == RESULT_FAILED)
            return &v->steps[i];
    for (size_t i = 0; i < v->n_steps; i++)
        if (v->steps[i].result->result == RESULT_INTERRUPTED)
            return &v->steps[i];
    return NULL;
}
