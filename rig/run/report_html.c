/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/report_html.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock_text.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report_view.h"

#define SAMPLES_MAX 40 /* that are shown of a step */

/* --- Head ------------------------------------------------------------------------------------ */

/* The verdict's class and words; a run that has no end gives its own. */
static const char *verdict_class(const struct history *h)
{
    return h->ended ? result_text(h->result.result) : "open";
}

static const char *verdict_words(const struct history *h)
{
    return h->ended ? result_text(h->result.result) : "the run died, or still goes on";
}

static void add_head(const struct view *v)
{
    const struct history *h = v->h;

    html_addf(&v->html,
              "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
              "style-src 'unsafe-inline'\"/>\n<title>%s %s</title>\n<style>\n",
              h->run.scenario, verdict_words(h));
    buf_adds(v->html.out, report_style);
    html_addf(&v->html, "</style>\n</head>\n<body>\n");
    /* Hatches of bars, by the variables of the colour scheme. */
    html_addf(&v->html, "<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>");
    for (size_t i = 0; i < 3; i++) {
        const char *kind = ARGV("calm", "wait", "bad")[i];

        html_addf(&v->html,
                  "<pattern id=\"h-%s\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
                  "patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" "
                  "style=\"fill:var(--%s-bg)\"/><path d=\"M0 0V6\" "
                  "style=\"stroke:var(--%s);stroke-width:3;stroke-opacity:.38\"/></pattern>",
                  kind, kind, kind);
    }
    html_addf(&v->html, "</defs></svg>\n<main>\n");
}

static void add_fact(const struct view *v, const char *name, const char *text)
{
    if (text && *text)
        html_addf(&v->html, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, text);
}

static void add_list_fact(const struct view *v, const char *name, char *const *list)
{
    CLEANUP_FREE char *text = strv_len(list) ? strv_join(list, ", ") : NULL;

    add_fact(v, name, text);
}

static void add_facts(const struct view *v)
{
    const struct history_run *r = &v->h->run;
    CLEANUP_FREE char *machines =
            xasprintf("%s%s%s", r->arch ? r->arch : "", r->accel && *r->accel ? ", " : "",
                      r->accel ? r->accel : "");
    CLEANUP_FREE char *factor =
            r->factor > 0 ? xasprintf("deadlines \u00d7 %.2f", r->factor) : xstrdup("");
    char began[CLOCK_RFC3339_MAX], took[32];

    html_addf(&v->html, "<dl class=\"facts\">\n");
    add_fact(v, "began", clock_rfc3339(r->began_wall_ms, began));
    add_fact(v, v->h->ended ? "took" : "last heard of after",
             view_time(v->h->ended ? v->h->total_ms : v->end_ms, took));
    add_fact(v, "host", r->host);
    add_fact(v, "machines", machines);
    add_fact(v, "scaled for this host", factor);
    add_fact(v, "control plane", r->control_plane);
    add_fact(v, "rig", r->version);
    add_list_fact(v, "devices", r->devices);
    add_list_fact(v, "components", r->components);
    add_list_fact(v, "variables", r->variables);
    add_fact(v, "scenario file", r->path);
    add_fact(v, "evidence", v->h->evidence);
    html_addf(&v->html, "</dl>\n");
}

static void add_verdict(const struct view *v)
{
    const struct history *h = v->h;

    html_addf(&v->html, "<header>\n<div class=\"verdict %s\">%s %s</div>\n<h1>%s</h1>\n",
              verdict_class(h), h->ended ? view_mark(h->result.result) : "?", verdict_words(h),
              h->run.scenario);
    if (h->run.story && *h->run.story)
        html_addf(&v->html, "<p class=\"story\">%s</p>\n", h->run.story);
    if (!h->ended)
        html_addf(&v->html,
                  "<p>Its history has no end: what follows is all that was written until %s. "
                  "<code>rig heal</code> takes back what a dead run left.</p>\n",
                  view_time(v->end_ms, (char[32]){ 0 }));
    add_facts(v);
    html_addf(&v->html, "</header>\n");
}

/* --- What failed ----------------------------------------------------------------------------- */

static const char *check_word(const struct check_result *c)
{
    return !c->asked ? "not looked at" : c->verdict == VERDICT_YES ? "so" : "not so";
}

static const char *check_class(const struct check_result *c)
{
    return !c->asked ? "muted" : c->verdict == VERDICT_YES ? "yes" : "no";
}

/* What it saw before, with how long each lasted. */
static void add_seen(const struct view *v, const struct check_result *c)
{
    char at[32], lasted[32];

    if (c->n_seen < 2)
        return;
    html_addf(&v->html, "<table class=\"events seen\"><tbody>");
    for (size_t i = 0; i < c->n_seen; i++)
        html_addf(&v->html,
                  "<tr><td class=\"num\">%s</td><td class=\"key %s\">%s</td><td>%s <span "
                  "class=\"muted\">for %s</span></td></tr>",
                  view_time(c->seen[i].at_ms, at), check_text(c->seen[i].verdict, c->seen[i].blind),
                  check_text(c->seen[i].verdict, c->seen[i].blind), c->seen[i].text,
                  view_time(c->seen[i].for_ms, lasted));
    html_addf(&v->html, "</tbody></table>");
}

static void add_check(const struct view *v, const struct check_result *c)
{
    bool yes = c->verdict == VERDICT_YES;
    char ago[32], same[32];

    html_addf(&v->html,
              "<div class=\"check\"><p><span class=\"%s\">%s %s</span> <span "
              "class=\"sentence\">%s</span></p>",
              check_class(c),
              !c->asked ? "\u2013"
              : yes     ? "\u2713"
                        : "\u2717",
              check_word(c), c->sentence);
    if (c->asked && !yes)
        html_addf(&v->html,
                  "<dl><dt>%s</dt><dd>%s</dd><dt>unchanged for</dt><dd>%s; looked at %s before the "
                  "step ended</dd></dl>",
                  c->blind ? "could not look" : "last seen", c->last, view_time(c->same_ms, same),
                  view_time(c->asked_ms_ago, ago));
    if (c->asked && !yes)
        add_seen(v, c);
    html_addf(&v->html, "</div>\n");
}

/* When most of a step's checks held at once. */
static void add_closest(const struct view *v, const struct step_result *r)
{
    char at[32];

    if (r->closest_held == 0)
        return;
    html_addf(&v->html,
              "<h3>Closest to it</h3><p>After %s of waiting %zu of %zu held at the same time, but "
              "not</p><ul>",
              view_time(r->closest_ms, at), r->closest_held, r->n_checks);
    for (char *const *m = r->closest_missed; m && *m && view_room(v, ROOM_HEAD); m++)
        html_addf(&v->html, "<li>%s</li>", *m);
    html_addf(&v->html, "</ul>\n");
}

static void add_deaths(const struct view *v)
{
    bool any = false;
    char at[32];

    for (size_t i = 0; i < v->h->n_events && view_room(v, ROOM_HEAD); i++) {
        const struct history_event *e = &v->h->events[i];

        if (e->kind != HISTORY_LANE || !str_eq(e->what, "died"))
            continue;
        if (!any)
            html_addf(&v->html, "<h3>Died</h3><ul>");
        html_addf(&v->html, "<li><b>%s</b> at %s: %s %s</li>", e->lane, view_time(e->at_ms, at),
                  e->text, e->detail);
        any = true;
    }
    if (any)
        html_addf(&v->html, "</ul>\n");
}

/* How long a step had, or had to hold; 0 for one that waited for nothing. */
static int64_t limit_of(const struct step_result *r)
{
    double factor = r->factor > 1 ? r->factor : 1;

    return r->holds_ms ? r->holds_ms : (int64_t)((double)r->within_ms * factor);
}

static void add_when(const struct view *v, const struct view_step *s)
{
    char at[32], took[32], limit[32];

    html_addf(&v->html, "<p class=\"muted\">began at %s, took %s", view_time(s->at_ms, at),
              view_time(s->result->took_ms, took));
    if (limit_of(s->result) > 0)
        html_addf(&v->html, "; %s %s", s->result->holds_ms ? "had to hold for" : "had",
                  view_time(limit_of(s->result), limit));
    html_addf(&v->html, "</p>\n");
}

static void add_story(const struct view *v, const struct view_step *s);

static void add_failure(const struct view *v)
{
    const struct view_step *s = view_failed(v);

    if (!s)
        return;
    html_addf(&v->html, "<section class=\"failure\"><h2>%s: %s</h2>\n",
              s->result->result == RESULT_FAILED ? "What failed" : "Where it ended",
              s->result->name);
    add_when(v, s);
    if (s->result->failure)
        html_addf(&v->html, "<pre>%s</pre>\n", s->result->failure);
    /* What is not so comes first. */
    for (size_t i = 0; i < s->result->n_checks; i++)
        if (s->result->checks[i].verdict != VERDICT_YES && view_room(v, ROOM_HEAD))
            add_check(v, &s->result->checks[i]);
    for (size_t i = 0; i < s->result->n_checks; i++)
        if (s->result->checks[i].verdict == VERDICT_YES && view_room(v, ROOM_HEAD))
            add_check(v, &s->result->checks[i]);
    if (s->result->n_checks == 0) /* it did not end, or failed before it looked */
        add_story(v, s);
    add_closest(v, s->result);
    add_deaths(v);
    html_addf(&v->html, "</section>\n");
}

/* --- Steps ----------------------------------------------------------------------------------- */

static void add_row(const struct view *v, const struct view_step *s)
{
    const struct step_result *r = s->result;
    const char *word = result_text(r->result);
    char at[32] = "", took[32] = "", limit[32] = "";

    if (s->timed)
        view_time(s->at_ms, at);
    if (r->result != RESULT_SKIPPED)
        view_time(r->took_ms, took);
    if (limit_of(r) > 0)
        view_time(limit_of(r), limit);
    html_addf(&v->html, "<tr><td class=\"num\">");
    if (s->number)
        html_addf(&v->html, "%zu", s->number);
    html_addf(&v->html,
              "</td><td>%s</td><td class=\"key %s-word\">%s\u00a0%s</td><td class=\"num\">%s</td>"
              "<td class=\"num\">%s</td><td class=\"num limit\">%s%s</td></tr>\n",
              r->name, word, view_mark(r->result), word, at, took, r->holds_ms ? "holds " : "",
              limit);
}

static void add_action(const struct view *v, const struct history_event *e)
{
    char at[32];

    html_addf(&v->html, "<tr><td class=\"num\">%s</td><td class=\"key %s\">%s</td><td>%s",
              view_time(e->at_ms, at), e->what, e->what, e->text);
    if (*e->detail)
        html_addf(&v->html, "<br/><span class=\"muted\">%s</span>", e->detail);
    html_addf(&v->html, "</td></tr>\n");
}

static bool is_of(const struct history_event *e, const struct view_step *s)
{
    return s->number && e->step == s->number &&
           (e->kind == HISTORY_ACTION || e->kind == HISTORY_SAMPLE);
}

/* What was done and what was seen, in order; of many the last ones. */
static void add_story(const struct view *v, const struct view_step *s)
{
    size_t all = 0, skip;

    for (size_t i = 0; i < v->h->n_events; i++)
        all += is_of(&v->h->events[i], s);
    if (all == 0)
        return;
    skip = all > SAMPLES_MAX ? all - SAMPLES_MAX : 0;
    html_addf(&v->html, "<div class=\"wide\"><table class=\"events\"><tbody>\n");
    if (skip)
        html_addf(&v->html,
                  "<tr><td></td><td></td><td class=\"muted\">%zu before these stand in "
                  "history.jsonl</td></tr>\n",
                  skip);
    for (size_t i = 0; i < v->h->n_events; i++) {
        const struct history_event *e = &v->h->events[i];

        if (!is_of(e, s) || (skip && skip--) || !view_room(v, ROOM_STORIES))
            continue;
        add_action(v, e);
    }
    html_addf(&v->html, "</tbody></table></div>\n");
}

static void add_step(const struct view *v, const struct view_step *s)
{
    const struct step_result *r = s->result;
    char took[32];

    if (r->result == RESULT_SKIPPED)
        return;
    html_addf(&v->html, r->result == RESULT_FAILED ? "<details open=\"open\">" : "<details>");
    html_addf(&v->html,
              "<summary><span class=\"%s-word\">%s</span> %s <span class=\"muted\">%s</span>"
              "</summary>\n",
              result_text(r->result), view_mark(r->result), r->name, view_time(r->took_ms, took));
    if (s != view_failed(v)) { /* of that one it stands above */
        if (r->failure)
            html_addf(&v->html, "<pre>%s</pre>\n", r->failure);
        for (size_t i = 0; i < r->n_checks && view_room(v, ROOM_STORIES); i++)
            add_check(v, &r->checks[i]);
    }
    add_story(v, s);
    html_addf(&v->html, "</details>\n");
}

/* What is left out of a part that is full. */
static void add_rest(const struct view *v, size_t n, const char *what)
{
    if (n > 0)
        html_addf(&v->html, "<p class=\"muted\">%zu more %s stand in history.jsonl.</p>\n", n,
                  what);
}

static void add_steps(const struct view *v)
{
    size_t i;

    html_addf(
            &v->html,
            "<section><h2>Steps</h2>\n<div class=\"wide\"><table><thead><tr>"
            "<th class=\"num\">#</th><th>step</th><th>result</th><th class=\"num\">began</th>"
            "<th class=\"num\">took</th><th class=\"num limit\">limit</th></tr></thead><tbody>\n");
    for (i = 0; i < v->n_steps && view_room(v, ROOM_STEPS); i++)
        add_row(v, &v->steps[i]);
    html_addf(&v->html, "</tbody></table></div>");
    add_rest(v, v->n_steps - i, "steps");
    html_addf(&v->html, "</section>\n<section><h2>What each step did and saw</h2>\n");
    for (i = 0; i < v->n_steps && view_room(v, ROOM_STORIES); i++)
        add_step(v, &v->steps[i]);
    add_rest(v, v->n_steps - i, "steps");
    html_addf(&v->html, "</section>\n");
}

/* --- Bringing it up, and notes of the rig itself --------------------------------------------- */

static const struct history_event *phase_end(const struct view *v, size_t begin)
{
    for (size_t i = begin + 1; i < v->h->n_events; i++)
        if (v->h->events[i].kind == HISTORY_PHASE && str_eq(v->h->events[i].what, "end") &&
            str_eq(v->h->events[i].text, v->h->events[begin].text))
            return &v->h->events[i];
    return NULL;
}

static void add_phases(const struct view *v)
{
    bool any = false;
    char at[32], took[32];

    for (size_t i = 0; i < v->h->n_events && view_room(v, ROOM_NOTES); i++) {
        const struct history_event *e = &v->h->events[i], *end;

        if (e->kind != HISTORY_PHASE || !str_eq(e->what, "begin"))
            continue;
        if (!any)
            html_addf(&v->html,
                      "<section><h2>Bringing the lab up</h2><div class=\"wide\"><table><thead>"
                      "<tr><th>phase</th><th class=\"num\">began</th><th class=\"num\">took</th>"
                      "</tr></thead><tbody>\n");
        any = true;
        end = phase_end(v, i);
        html_addf(&v->html,
                  "<tr><td>%s</td><td class=\"num\">%s</td><td class=\"num\">%s</td></tr>\n",
                  e->text, view_time(e->at_ms, at),
                  end ? view_time(end->at_ms - e->at_ms, took) : "did not end");
    }
    if (any)
        html_addf(&v->html, "</tbody></table></div></section>\n");
}

static void add_notes(const struct view *v)
{
    bool any = false;
    char at[32];

    for (size_t i = 0; i < v->h->n_events && view_room(v, ROOM_NOTES); i++) {
        const struct history_event *e = &v->h->events[i];

        if (e->kind != HISTORY_NOTE || str_eq(e->what, "evidence") || str_eq(e->what, "down"))
            continue;
        if (!any)
            html_addf(&v->html, "<section><h2>Notes of the rig</h2><ul>\n");
        html_addf(&v->html, "<li>%s, %s: %s</li>\n", view_time(e->at_ms, at), e->what, e->text);
        any = true;
    }
    if (any)
        html_addf(&v->html, "</ul></section>\n");
}

/* --- The end --------------------------------------------------------------------------------- */

/* A word of a shell. */
static void add_word(const struct view *v, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./=:,+@%";

    CLEANUP_BUF struct buf quoted = BUF_INIT(64 * 1024);

    if (*word && strspn(word, plain) == strlen(word)) {
        html_addf(&v->html, " %s", word);
        return;
    }
    for (const char *c = word; *c; c++)
        buf_adds(&quoted, *c == '\'' ? "'\\''" : (char[]){ *c, '\0' });
    html_addf(&v->html, " '%s'", buf_str(&quoted));
}

static void add_again(const struct view *v)
{
    const struct history_run *r = &v->h->run;

    if (!r->path || !*r->path)
        return;
    html_addf(&v->html, "<section><h2>Run it again</h2>\n<pre>rig run");
    add_word(v, r->path);
    for (char **variable = r->variables; variable && *variable && view_room(v, ROOM_TEXTS);
         variable++) {
        html_addf(&v->html, " --set");
        add_word(v, *variable);
    }
    html_addf(&v->html, "</pre></section>\n");
}

static void add_foot(const struct view *v)
{
    const struct history *h = v->h;
    char down[32], cpu[32];

    add_again(v);
    html_addf(&v->html, "<footer>");
    if (h->ended)
        html_addf(&v->html,
                  "Taking the lab down took %s; the rig itself used %s of processor "
                  "time. ",
                  view_time(h->down_ms, down), view_time(h->cpu_ms, cpu));
    if (v->in->folder)
        html_addf(&v->html, "Made from <code>%s/history.jsonl</code>.", v->in->folder);
    html_addf(&v->html, "</footer>\n</main>\n</body>\n</html>\n");
}

void report_html(const struct report_html *in, struct buf *out)
{
    struct view v;

    view_init(&v, in, out);
    add_head(&v);
    add_verdict(&v);
    add_failure(&v);
    report_timeline(&v);
    add_steps(&v);
    add_phases(&v);
    add_notes(&v);
    report_observed(&v);
    report_evidence(&v);
    add_foot(&v);
    view_done(&v);
}
