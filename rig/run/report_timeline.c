/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The timeline: one clock from left to right, a lane for the rig's own phases, for the steps, for
 * the faults, and for each device and component. Every lane is a drawing of its own whose horizontal
 * places are percentages, so it fits any width without a script and its text keeps its size. What
 * lasts is a bar, what happens is a tick; each has a tooltip, and all of it stands in a table
 * below, too.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report_view.h"

#define ROWS_MAX 8      /* of spans that overlap; more share the last one */
#define STRIPS_MAX 5    /* of states in a lane; further ones are ticks */
#define STRIP 17        /* pixels, with what is between them */
#define TICKS_MAX 120   /* in a lane */
#define EVENTS_MAX 400  /* in the table */
#define LABEL_LEAST 3.5 /* percent: bars that are shorter bear no label */
#define NUMBER_LEAST 1.4
#define LEAST 0.35 /* percent: what is shorter is drawn as long as this */

/* A bar: `[from, to)`, in a row of its lane. */
struct span {
    int64_t from, to;
    int row;
    const char *kind; /* class */
    char *label, *title;
    size_t number; /* what a bar that is too short for its label shows; 0: nothing */
};

struct spans {
    struct span *items;
    size_t n, cap;
    int rows;
};

static void spans_done(struct spans *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].label);
        free(s->items[i].title);
    }
    free(s->items);
    *s = (struct spans){ 0 };
}

static struct span *add_span(struct spans *s, int64_t from, int64_t to, const char *kind)
{
    s->items = grow(s->items, s->n, &s->cap, sizeof(*s->items));
    s->items[s->n] = (struct span){ .from = from, .to = to < from ? from : to, .kind = kind };
    return &s->items[s->n++];
}

static double percent(const struct view *v, int64_t ms)
{
    ms = ms < 0 ? 0 : ms > v->end_ms ? v->end_ms : ms;
    return 100.0 * (double)ms / (double)v->end_ms;
}

static double width(const struct view *v, const struct span *s)
{
    double w = percent(v, s->to) - percent(v, s->from);

    return w < LEAST ? LEAST : w;
}

/* A label of something short stands behind it: about so wide, in percent. */
static double label_width(const struct span *s)
{
    return s->label && s->from == s->to ? 1.0 + 0.8 * (double)strlen(s->label) : 0;
}

/* The first row that is free when each begins. */
static void pack(const struct view *v, struct spans *s)
{
    double free_at[ROWS_MAX] = { 0 };

    for (size_t i = 0; i < s->n; i++) {
        struct span *span = &s->items[i];
        double x = percent(v, span->from);
        int row = 0;

        while (row < ROWS_MAX - 1 && free_at[row] > x)
            row++;
        span->row = row;
        free_at[row] = percent(v, span->to) + label_width(span);
        s->rows = row + 1 > s->rows ? row + 1 : s->rows;
    }
}

/* --- Drawing --------------------------------------------------------------------------------- */

static void lane_open(const struct view *v, const char *name, const char *kind, int height)
{
    html_addf(&v->html,
              "<div class=\"lane\"><div class=\"who\"><b>%s</b> <span>%s</span></div>"
              "<svg class=\"track\" height=\"%d\" width=\"100%%\" role=\"img\" "
              "aria-label=\"%s\">",
              name, kind, height, name);
}

static void lane_close(const struct view *v)
{
    html_addf(&v->html, "</svg></div>\n");
}

static void draw_span(const struct view *v, const struct span *s, int y, int height)
{
    if (!view_room(v, ROOM_DRAWING))
        return;
    html_addf(&v->html,
              "<svg x=\"%.2f%%\" y=\"%d\" width=\"%.2f%%\" height=\"%d\"><title>%s</title>"
              "<rect class=\"%s\" width=\"100%%\" height=\"100%%\" rx=\"2\"/>",
              percent(v, s->from), y, width(v, s), height, s->title, s->kind);
    if (s->label && s->from < s->to && width(v, s) > LABEL_LEAST)
        html_addf(&v->html, "<text x=\"%d\" y=\"%d\">%s</text>",
                  width(v, s) < 2 * LABEL_LEAST ? 2 : 5, height / 2 + 4, s->label);
    else if (s->number && width(v, s) > NUMBER_LEAST)
        html_addf(&v->html, "<text x=\"2\" y=\"%d\">%zu</text>", height / 2 + 4, s->number);
    html_addf(&v->html, "</svg>");
    if (s->label && s->from == s->to)
        html_addf(&v->html, "<text class=\"behind\" x=\"%.2f%%\" dx=\"4\" y=\"%d\">%s</text>",
                  percent(v, s->from) + width(v, s), y + height / 2 + 4, s->label);
}

static void draw_rows(const struct view *v, struct spans *s, const char *name, const char *kind)
{
    if (s->n == 0)
        return;
    pack(v, s);
    lane_open(v, name, kind, s->rows * 22 + 4);
    for (size_t i = 0; i < s->n; i++)
        draw_span(v, &s->items[i], 3 + s->items[i].row * 22, 19);
    lane_close(v);
}

/* --- The lanes of the run itself ------------------------------------------------------------- */

static char *titled(const char *text, int64_t from, int64_t to)
{
    char at[32], took[32];

    return xasprintf("%s\nat %s, for %s", text, view_time(from, at), view_time(to - from, took));
}

static void draw_phases(const struct view *v)
{
    const struct history *h = v->h;
    struct spans s = { 0 };

    for (size_t i = 0; i < h->n_events; i++) {
        const struct history_event *e = &h->events[i];
        int64_t end = v->end_ms;
        struct span *span;

        if (e->kind != HISTORY_PHASE || !str_eq(e->what, "begin"))
            continue;
        for (size_t j = i + 1; j < h->n_events && end == v->end_ms; j++)
            if (h->events[j].kind == HISTORY_PHASE && str_eq(h->events[j].what, "end") &&
                str_eq(h->events[j].text, e->text))
                end = h->events[j].at_ms;
        span = add_span(&s, e->at_ms, end, "phase");
        span->label = xstrdup(e->text);
        span->title = titled(e->text, e->at_ms, end);
    }
    draw_rows(v, &s, "set-up", "phases");
    spans_done(&s);
}

static char *step_label(const struct view_step *s)
{
    const char *mark = view_mark(s->result->result);

    return s->number ? xasprintf("%s %zu %s", mark, s->number, s->result->name)
                     : xasprintf("%s %s", mark, s->result->name);
}

static void draw_steps(const struct view *v)
{
    struct spans s = { 0 };

    for (size_t i = 0; i < v->n_steps; i++) {
        const struct view_step *step = &v->steps[i];
        const char *word = result_text(step->result->result);
        CLEANUP_FREE char *text = NULL;
        struct span *span;

        if (!step->timed)
            continue;
        text = xasprintf("%s: %s", step->result->name, word);
        span = add_span(&s, step->at_ms, step->end_ms, word);
        span->title = titled(text, step->at_ms, step->end_ms);
        span->label = step_label(step);
        span->number = step->number;
    }
    draw_rows(v, &s, "steps", "");
    spans_done(&s);
}

/* When the fault was taken back; -1 when nothing says so. */
static int64_t undone_at(const struct history *h, size_t fault)
{
    for (size_t i = fault + 1; i < h->n_events; i++)
        if (h->events[i].kind == HISTORY_ACTION && str_eq(h->events[i].what, "undo") &&
            str_eq(h->events[i].text, h->events[fault].text))
            return h->events[i].at_ms;
    return -1;
}

static struct spans faults_of(const struct view *v)
{
    const struct history *h = v->h;
    struct spans s = { 0 };

    for (size_t i = 0; i < h->n_events; i++) {
        const struct history_event *e = &h->events[i];
        int64_t end;
        struct span *span;

        if (e->kind != HISTORY_ACTION || !str_eq(e->what, "fault"))
            continue;
        end = undone_at(h, i);
        span = add_span(&s, e->at_ms, end < 0 ? e->at_ms : end, end < 0 ? "fault once" : "fault");
        span->label = xstrdup(e->text);
        span->title = end < 0 ? xasprintf("%s\nat once", e->text) : titled(e->text, e->at_ms, end);
    }
    return s;
}

/* --- Lanes of devices and components --------------------------------------------------------- */

/* "Reachable=False", "hello: Running": the name, the value, and how that is drawn. */
static const struct {
    const char *value, *kind;
} looks[] = {
    { "True", "good" },  { "Running", "good" }, { "Ready", "good" },   { "False", "bad" },
    { "Failed", "bad" }, { "Pending", "wait" }, { "Unknown", "wait" },
};

static const char *look_of(const char *text, size_t *ret_name)
{
    size_t name = strcspn(text, "=:");
    const char *value = text + name + (text[name] != '\0');

    while (*value == ' ')
        value++;
    *ret_name = name;
    for (size_t i = 0; text[name] && i < ARRAY_LEN(looks); i++) {
        size_t len = strlen(looks[i].value);

        if (strncmp(value, looks[i].value, len) == 0 && !(value[len] >= 'a' && value[len] <= 'z'))
            return looks[i].kind;
    }
    return NULL;
}

struct lane {
    const struct view *v;
    const char *name;
    struct spans power, states;
    struct {
        char name[64];
        size_t open; /* index into states + 1; 0: none */
    } strips[STRIPS_MAX];
    int n_strips;
    size_t open_power; /* index + 1 */
};

static void close_span(struct spans *s, size_t *open, int64_t at)
{
    if (*open)
        s->items[*open - 1].to = at;
    *open = 0;
}

/* Which begin a stretch of the lane's own life, and how that is drawn. NULL: they only end one. */
static const struct {
    const char *what, *kind, *text;
} lives[] = {
    { "start", "boot", "starting" }, { "ready", "up", "up" },         { "stop", NULL, NULL },
    { "died", NULL, NULL },          { "pause", "paused", "paused" }, { "resume", "up", "up" },
};

static bool take_life(struct lane *l, const struct history_event *e)
{
    for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
        if (!str_eq(lives[i].what, e->what))
            continue;
        close_span(&l->power, &l->open_power, e->at_ms);
        if (!lives[i].kind)
            return true;
        add_span(&l->power, e->at_ms, l->v->down_ms, lives[i].kind)->label = xstrdup(lives[i].text);
        l->open_power = l->power.n;
        return true;
    }
    return false;
}

static int strip_of(struct lane *l, const char *name, size_t len, bool make)
{
    if (len >= sizeof(l->strips[0].name))
        len = sizeof(l->strips[0].name) - 1;
    for (int i = 0; i < l->n_strips; i++)
        if (strlen(l->strips[i].name) == len && strncmp(l->strips[i].name, name, len) == 0)
            return i;
    if (!make || l->n_strips == STRIPS_MAX)
        return -1;
    memcpy(l->strips[l->n_strips].name, name, len);
    l->strips[l->n_strips].name[len] = '\0';
    return l->n_strips++;
}

/* False: no state that lasts; it is drawn as a tick. */
static bool take_state(struct lane *l, const struct history_event *e)
{
    size_t name = 0;
    const char *kind = look_of(e->text, &name);
    struct span *span;
    int strip;

    if (!e->text[name])
        return false;
    strip = strip_of(l, e->text, name, /* make= */ kind != NULL);
    if (strip < 0)
        return false;
    close_span(&l->states, &l->strips[strip].open, e->at_ms);
    if (!kind)
        return true;
    span = add_span(&l->states, e->at_ms, l->v->down_ms, kind);
    span->row = strip;
    span->label = xstrdup(e->text);
    l->strips[strip].open = l->states.n;
    return true;
}

static void draw_tick(const struct view *v, const struct history_event *e, int y)
{
    static const struct {
        const char *what, *path;
    } shapes[] = {
        { "died", "M-4 -4L4 4M4 -4L-4 4" },
        { "link", "M-4 0L4 0M0 -4L0 4" },
        { "state", "M0 -4L4 0L0 4L-4 0Z" },
        { "log", "M0 -4L0 4" },
    };
    const char *path = "M0 -4L0 4";
    char at[32];

    if (!view_room(v, ROOM_DRAWING))
        return;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        if (str_eq(shapes[i].what, e->what))
            path = shapes[i].path;
    html_addf(&v->html,
              "<svg x=\"%.2f%%\" y=\"%d\" overflow=\"visible\"><title>%s %s: %s%s%s</title>"
              "<path class=\"tick %s %s\" d=\"%s\"/></svg>",
              percent(v, e->at_ms), y, view_time(e->at_ms, at), e->what, e->text,
              *e->detail ? "\n" : "", e->detail, e->what,
              str_eq(e->what, "log") && str_starts(e->text, "error") ? "grave" : "", path);
}

/* Faults that speak of this lane shade it. */
static void shade(const struct lane *l, const struct spans *faults, int height)
{
    for (size_t i = 0; i < faults->n; i++) {
        const struct span *f = &faults->items[i];

        if (f->to > f->from && view_mentions(f->label, l->name) && view_room(l->v, ROOM_DRAWING))
            html_addf(&l->v->html,
                      "<rect class=\"shade\" x=\"%.2f%%\" y=\"0\" width=\"%.2f%%\" "
                      "height=\"%d\"/>",
                      percent(l->v, f->from), width(l->v, f), height);
    }
}

static void title_spans(struct spans *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct span *span = &s->items[i];

        span->title = titled(span->label, span->from, span->to);
    }
}

static bool is_lane(const struct view *v, const struct history_event *e, const char *name)
{
    (void)v;
    return e->kind == HISTORY_LANE && str_eq(e->lane, name);
}

static const char *kind_of(const struct view *v, const char *name)
{
    return strv_has(v->h->run.devices, name)      ? "device"
           : strv_has(v->h->run.components, name) ? "component"
                                                  : "";
}

static void draw_lane(const struct view *v, const char *name, const struct spans *faults)
{
    struct lane l = { .v = v, .name = name };
    CLEANUP_FREE bool *ticks = xcalloc(v->h->n_events + 1, sizeof(*ticks));
    size_t n_ticks = 0;
    int height, y;

    for (size_t i = 0; i < v->h->n_events; i++) {
        const struct history_event *e = &v->h->events[i];

        if (!is_lane(v, e, name))
            continue;
        if (str_eq(e->what, "state") ? take_state(&l, e)
                                     : take_life(&l, e) && !str_eq(e->what, "died"))
            continue;
        ticks[i] = n_ticks < TICKS_MAX;
        n_ticks++;
    }
    y = l.power.n > 0 ? 14 : 3;
    height = y + l.n_strips * STRIP + (n_ticks ? 14 : 4);
    title_spans(&l.power);
    title_spans(&l.states);
    lane_open(v, name, kind_of(v, name), height < 20 ? 20 : height);
    shade(&l, faults, height < 20 ? 20 : height);
    for (size_t i = 0; i < l.power.n; i++) {
        free(steal_ptr(l.power.items[i].label));
        draw_span(v, &l.power.items[i], 4, 8);
    }
    for (size_t i = 0; i < l.states.n; i++)
        draw_span(v, &l.states.items[i], y + l.states.items[i].row * STRIP + 1, STRIP - 3);
    for (size_t i = 0; i < v->h->n_events; i++)
        if (ticks[i])
            draw_tick(v, &v->h->events[i], height - 7);
    lane_close(v);
    spans_done(&l.power);
    spans_done(&l.states);
}

/* --- The clock ------------------------------------------------------------------------------- */

/* At most eight pieces. */
static int64_t piece_of(int64_t end_ms)
{
    static const int pieces_s[] = { 1,   2,   5,   10,   15,   30,   60,    120,
                                    300, 600, 900, 1800, 3600, 7200, 14400, 43200 };

    for (size_t i = 0; i < ARRAY_LEN(pieces_s); i++)
        if (end_ms / 1000 / pieces_s[i] < 8)
            return pieces_s[i] * INT64_C(1000);
    return end_ms / 8 + 1;
}

static void clock_text(int64_t ms, char text[static 32])
{
    int64_t s = ms / 1000;

    if (s < 60)
        snprintf(text, 32, "%llds", (long long)s);
    else if (s % 60 == 0)
        snprintf(text, 32, "%lldm", (long long)(s / 60));
    else
        snprintf(text, 32, "%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
}

static void draw_clock(const struct view *v, int64_t piece)
{
    html_addf(&v->html, "<div class=\"lane clock\"><div class=\"who\"><span>time since the run "
                        "began</span></div><svg height=\"18\" width=\"100%%\" role=\"img\" "
                        "aria-label=\"clock\">");
    for (int64_t ms = 0; ms <= v->end_ms; ms += piece) {
        char text[32];

        if (percent(v, ms) > 96)
            break;
        clock_text(ms, text);
        html_addf(&v->html, "<text x=\"%.2f%%\" dx=\"3\" y=\"13\">%s</text>", percent(v, ms), text);
    }
    html_addf(&v->html, "</svg></div>\n");
}

static void draw_legend(const struct view *v)
{
    static const struct {
        const char *kind, *text;
    } bars[] = {
        { "boot", "starting" },   { "up", "up" },        { "paused", "paused" },
        { "good", "good state" }, { "wait", "pending" }, { "bad", "failed, unreachable" },
        { "fault", "fault" },
    };

    html_addf(&v->html, "<p class=\"legend\">");
    for (size_t i = 0; i < ARRAY_LEN(bars); i++)
        html_addf(&v->html,
                  "<span><svg width=\"22\" height=\"8\" aria-hidden=\"true\"><rect class=\"%s\" "
                  "width=\"22\" height=\"8\" rx=\"2\"/></svg> %s</span> ",
                  bars[i].kind, bars[i].text);
    html_addf(&v->html,
              "<span>\u00d7 died</span> <span>\u25c7 state</span> <span>| log line</span> "
              "<span>+ network</span></p>\n");
}

/* --- The same as a table --------------------------------------------------------------------- */

static void add_events(const struct view *v)
{
    const struct history *h = v->h;
    size_t shown = 0, all = 0;
    char at[32];

    for (size_t i = 0; i < h->n_events; i++)
        all += h->events[i].kind != HISTORY_SAMPLE;
    html_addf(&v->html,
              "<details><summary>All of it as a list <span class=\"muted\">%zu "
              "events</span></summary><div class=\"wide\"><table class=\"events\"><thead><tr>"
              "<th class=\"num\">at</th><th>lane</th><th>what</th><th>text</th></tr></thead>"
              "<tbody>\n",
              all);
    for (size_t i = 0; i < h->n_events && shown < EVENTS_MAX && view_room(v, ROOM_EVENTS); i++) {
        const struct history_event *e = &h->events[i];

        if (e->kind == HISTORY_SAMPLE)
            continue;
        shown++;
        html_addf(
                &v->html,
                "<tr><td class=\"num\">%s</td><td class=\"key\">%s</td><td class=\"key\">%s</td><td>%s",
                view_time(e->at_ms, at), *e->lane ? e->lane : "run", e->what, e->text);
        if (*e->detail)
            html_addf(&v->html, "<br/><span class=\"muted\">%s</span>", e->detail);
        html_addf(&v->html, "</td></tr>\n");
    }
    html_addf(&v->html, "</tbody></table></div>");
    if (shown < all)
        html_addf(&v->html, "<p class=\"muted\">%zu more stand in history.jsonl.</p>", all - shown);
    html_addf(&v->html, "</details>\n");
}

void report_timeline(const struct view *v)
{
    struct spans faults = faults_of(v);
    int64_t piece = piece_of(v->end_ms);

    html_addf(&v->html,
              "<section><h2>Timeline</h2>\n<div class=\"timeline\" style=\"--piece:%.3f%%\">\n",
              percent(v, piece));
    draw_clock(v, piece);
    draw_phases(v);
    draw_steps(v);
    draw_rows(v, &faults, "faults", "");
    for (char **lane = v->lanes; lane && *lane; lane++)
        draw_lane(v, *lane, &faults);
    html_addf(&v->html, "</div>\n");
    if (!view_room(v, ROOM_DRAWING))
        html_addf(&v->html, "<p class=\"muted\">There was more to draw than a page holds: it is in "
                            "history.jsonl.</p>\n");
    draw_legend(v);
    add_events(v);
    html_addf(&v->html, "</section>\n");
    spans_done(&faults);
}
