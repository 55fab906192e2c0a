/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/report_view.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/log_lines.h"

#define LANES_MAX 96

const char *view_time(int64_t ms, char text[static 32])
{
    return duration_format(ms < 0 ? 0 : ms, text);
}

bool view_room(const struct view *v, size_t until)
{
    return v->html.out->len < until;
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
            s->number = s->result->number ? s->result->number : begin->step;
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

static int by_time(const void *a, const void *b)
{
    const struct history_event *x = a, *y = b;

    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

/* The run's own events keep their order: of what is equal in time, logs come last. */
static void merge(struct history_event *to, const struct history *h, const struct view *v)
{
    size_t i = 0, j = 0;

    while (i < h->n_events || j < v->n_logged)
        if (j == v->n_logged || (i < h->n_events && h->events[i].at_ms <= v->logged[j].at_ms))
            *to++ = h->events[i++];
        else
            *to++ = v->logged[j++];
}

static void add_logged(struct view *v)
{
    const struct report_html *in = v->in;
    const struct log_clock clock = { in->history->run.began_wall_ms, in->utc_offset_s };
    int64_t end_ms = clock_end(in->history);
    size_t cap = 0;

    for (size_t i = 0; i < in->n_texts; i++)
        log_events(in->texts[i].path, in->texts[i].data, in->texts[i].len, &clock, end_ms,
                   &v->logged, &v->n_logged, &cap);
    if (v->n_logged)
        qsort(v->logged, v->n_logged, sizeof(*v->logged), by_time);
    v->all = *in->history;
    v->all.n_events += v->n_logged;
    v->all.events = xcalloc(v->all.n_events + 1, sizeof(*v->all.events));
    merge(v->all.events, in->history, v);
    v->h = &v->all;
}

void view_init(struct view *v, const struct report_html *in, struct buf *out)
{
    *v = (struct view){ .html = { .out = out, .secrets = in->secrets }, .in = in };
    add_logged(v);
    v->end_ms = v->down_ms = clock_end(v->h);
    for (size_t i = 0; i < v->h->n_events; i++)
        if (v->h->events[i].kind == HISTORY_NOTE && str_eq(v->h->events[i].what, "down"))
            v->down_ms = v->h->events[i].at_ms;
    add_steps(v);
    add_lanes(v);
}

void view_done(struct view *v)
{
    for (size_t i = 0; i < v->n_logged; i++) {
        free(v->logged[i].lane);
        free(v->logged[i].what);
        free(v->logged[i].text);
        free(v->logged[i].detail);
    }
    free(v->logged);
    free(v->all.events);
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
