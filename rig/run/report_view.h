/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the files of the HTML report share: a history, put in order for showing. */

#include "rig/run/html.h"
#include "rig/run/report_html.h"

/* A step that was begun or is known of. */
struct view_step {
    const struct step_result *result;
    size_t number; /* as its events have it; 0: none of the scenario's */
    bool timed;    /* it was begun: */
    int64_t at_ms, end_ms;
};

struct view { /* stays where it is: `h` points into it */
    struct html html;
    const struct report_html *in;
    const struct history *h; /* what was given, and what logs add to its events, by time */
    struct history all;
    struct history_event *logged; /* of these the texts are our own */
    size_t n_logged;
    struct view_step *steps;
    size_t n_steps;
    int64_t end_ms;  /* of the clock: at least 1 */
    int64_t down_ms; /* when the lab was taken down; end_ms when it was not */
    char **lanes;    /* strv: devices, components, whatever else has events */
};

/* Bytes of the page after which its parts leave things out, each saying so: no part, however much it
 * has to say, pushes out what comes behind it. */
#define ROOM_HEAD (120 * 1024)
#define ROOM_DRAWING (340 * 1024)
#define ROOM_EVENTS (420 * 1024)
#define ROOM_STEPS (520 * 1024)
#define ROOM_STORIES (640 * 1024)
#define ROOM_NOTES (700 * 1024)
#define ROOM_OBSERVED (740 * 1024)
#define ROOM_TEXTS (900 * 1024)
/* Whether the page is still shorter. */
bool view_room(const struct view *v, size_t until);

void view_init(struct view *v, const struct report_html *in, struct buf *out);
void view_done(struct view *v);

/* A time of the run's clock: "1m02s". Returns `text`. */
const char *view_time(int64_t ms, char text[static 32]);
/* The first step that did not pass; NULL when there is none. */
const struct view_step *view_failed(const struct view *v);
/* Whether `word` stands in `text` as a word of its own. */
bool view_mentions(const char *text, const char *word);
/* A mark and a word for a result: colour is never the only sign. */
const char *view_mark(enum result result);

/* The style sheet. */
extern const char report_style[];
void report_timeline(const struct view *v);
/* Logs, consoles, journals, objects; what is desired and what is there. */
void report_evidence(const struct view *v);
void report_observed(const struct view *v);
