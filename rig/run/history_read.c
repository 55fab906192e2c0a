/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>

#include "base/file.h"
#include "base/jsonl.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/history_internal.h"
#include "rig/run/member.h"

const char *const history_kind_texts[HISTORY_KINDS] = { "phase",  "step", "action",
                                                        "sample", "lane", "note" };

static char *text_of(const json_t *line, const char *name, bool *bad)
{
    char *text = member_text(line, name, bad);

    return text ? text : xstrdup("");
}

static void run_done(struct history_run *r)
{
    free(r->scenario);
    free(r->story);
    free(r->path);
    free(r->control_plane);
    free(r->arch);
    free(r->accel);
    free(r->host);
    free(r->version);
    strv_free(r->devices);
    strv_free(r->components);
    strv_free(r->variables);
}

void history_free(struct history *h)
{
    if (!h)
        return;
    run_done(&h->run);
    for (size_t i = 0; i < h->n_events; i++) {
        free(h->events[i].lane);
        free(h->events[i].what);
        free(h->events[i].text);
        free(h->events[i].detail);
    }
    free(h->events);
    run_result_done(&h->result);
    free(h->evidence);
    free(h);
}

static void take_run(struct history_run *r, const json_t *line, bool *bad)
{
    r->scenario = text_of(line, "scenario", bad);
    r->story = text_of(line, "story", bad);
    r->path = text_of(line, "path", bad);
    r->control_plane = text_of(line, "control_plane", bad);
    r->arch = text_of(line, "arch", bad);
    r->accel = text_of(line, "accel", bad);
    r->host = text_of(line, "host", bad);
    r->version = text_of(line, "version", bad);
    r->factor = member_real(line, "factor", bad);
    r->began_wall_ms = member_int(line, "began", bad);
    r->devices = member_strv(line, "devices", bad);
    r->components = member_strv(line, "components", bad);
    r->variables = member_strv(line, "variables", bad);
}

static int take_head(struct history_builder *b, const json_t *line, bool *bad, struct err **err)
{
    json_int_t version = json_path_int(line, "v", 0);

    if (!str_eq(json_path_str(line, "ev"), "run") || version < 1)
        return err_new(err, EPROTO, "no history of a run");
    if (version > HISTORY_VERSION)
        return err_new(err, EPROTO, "a history of version %lld, this rig knows version %d",
                       (long long)version, HISTORY_VERSION);
    b->history = xcalloc(1, sizeof(*b->history));
    take_run(&b->history->run, line, bad);
    return 0;
}

/* A step that begins is an interrupted one until it ends. */
static void take_step(struct history *h, const json_t *line, const struct history_event *e,
                      bool *bad)
{
    const json_t *full = json_object_get(line, "full");
    struct run_result *r = &h->result;
    struct step_result *last = r->n_steps ? &r->steps[r->n_steps - 1] : NULL, step = { 0 };

    if (str_eq(e->what, "begin")) {
        run_result_add(r, e->text, RESULT_INTERRUPTED, 0, NULL);
        r->steps[r->n_steps - 1].number = e->step;
        return;
    }
    if (!full)
        return;
    if (step_result_parse(full, &step, NULL) < 0) {
        *bad = true;
        return;
    }
    if (last && last->result == RESULT_INTERRUPTED && str_eq(last->name, step.name)) {
        step_result_done(last);
    } else {
        run_result_add(r, step.name, step.result, 0, NULL);
        last = &r->steps[r->n_steps - 1];
        step_result_done(last);
    }
    *last = step;
}

static void take_event(struct history_builder *b, const json_t *line, enum history_kind kind,
                       bool *bad)
{
    struct history *h = b->history;
    struct history_event *e;

    h->events = grow(h->events, h->n_events, &b->cap_events, sizeof(*h->events));
    e = &h->events[h->n_events++];
    *e = (struct history_event){
        .at_ms = member_int(line, "t", bad),
        .kind = kind,
        .lane = text_of(line, "lane", bad),
        .what = text_of(line, "what", bad),
        .text = text_of(line, "text", bad),
        .detail = text_of(line, "detail", bad),
        .step = (size_t)member_int(line, "step", bad),
    };
    if (kind == HISTORY_STEP)
        take_step(h, line, e, bad);
    if (kind == HISTORY_NOTE && str_eq(e->what, "evidence"))
        replace_str(&h->evidence, e->text);
}

static void take_result(struct history *h, const json_t *line, bool *bad)
{
    struct run_result r;

    if (run_result_parse(json_object_get(line, "result"), &r, NULL) < 0) {
        *bad = true;
        return;
    }
    run_result_done(&h->result);
    h->result = r;
}

static void take_end(struct history *h, const json_t *line, bool *bad)
{
    static const char *const words[] = { "passed", "failed", "skipped", "interrupted" };

    h->result.result = (enum result)member_word(line, "result", words, ARRAY_LEN(words), bad);
    h->total_ms = member_int(line, "total", bad);
    h->down_ms = member_int(line, "down", bad);
    h->cpu_ms = member_int(line, "cpu", bad);
    h->ended = true;
}

static void take_learnt(struct history *h, const json_t *line, bool *bad)
{
    CLEANUP_FREE char *accel = member_text(line, "accel", bad);
    double factor = member_real(line, "factor", bad);

    if (accel)
        replace_str(&h->run.accel, accel);
    if (factor > 0)
        h->run.factor = factor;
}

static void take_other(struct history_builder *b, const json_t *line, const char *ev, bool *bad)
{
    if (str_eq(ev, "result"))
        take_result(b->history, line, bad);
    else if (str_eq(ev, "end"))
        take_end(b->history, line, bad);
    else if (str_eq(ev, "learnt"))
        take_learnt(b->history, line, bad);
    for (int i = 0; i < HISTORY_KINDS; i++)
        if (str_eq(ev, history_kind_texts[i]))
            take_event(b, line, (enum history_kind)i, bad);
}

int history_take(struct history_builder *b, const json_t *line, struct err **err)
{
    const char *ev = json_path_str(line, "ev");
    bool bad = false;
    int r = 0;

    if (!b->history)
        r = take_head(b, line, &bad, err);
    else if (!ev)
        bad = true;
    else
        take_other(b, line, ev, &bad);
    return r == 0 && bad ? err_new(err, EPROTO, "damaged: no line of a history") : r;
}

/* How long the step that was interrupted had gone on. */
static int64_t since_last_begin(const struct history *h)
{
    for (size_t i = h->n_events; i-- > 0;)
        if (h->events[i].kind == HISTORY_STEP && str_eq(h->events[i].what, "begin")) {
            int64_t took = h->events[h->n_events - 1].at_ms - h->events[i].at_ms;

            return took > 0 ? took : 0;
        }
    return 0;
}

void history_settle(struct history *h)
{
    struct run_result *r = &h->result;
    struct step_result *last = r->n_steps ? &r->steps[r->n_steps - 1] : NULL;

    if (h->ended)
        return;
    r->result = RESULT_INTERRUPTED;
    for (size_t i = 0; i < r->n_steps; i++)
        if (r->steps[i].result == RESULT_FAILED)
            r->result = RESULT_FAILED;
    if (last && last->result == RESULT_INTERRUPTED && last->took_ms == 0)
        last->took_ms = since_last_begin(h);
}

static int take_all(struct history_builder *b, const char *name, struct jsonl *lines,
                    struct err **err)
{
    int r;

    for (;;) {
        CLEANUP_ERR struct err *why = NULL;
        CLEANUP_JSON json_t *line = NULL;

        if ((r = jsonl_next(lines, name, &line, &why)) == 0)
            break;
        if (r < 0)
            return err_new(err, EPROTO, "%s", b->history ? err_text(why) : "no history of a run");
        if (history_take(b, line, &why) < 0)
            return err_new(err, EPROTO, "%s:%zu: %s", name, lines->line, err_text(why));
    }
    return b->history ? 0 : err_new(err, EPROTO, "%s: no history of a run", name);
}

int history_parse(const char *name, const char *text, size_t len, struct history **ret,
                  struct err **err)
{
    struct jsonl lines = { .at = text, .left = len };
    struct history_builder b = { 0 };
    int r = take_all(&b, name, &lines, err);

    if (r < 0) {
        history_free(b.history);
        return r;
    }
    history_settle(b.history);
    *ret = b.history;
    return 0;
}

int history_read(const char *path, struct history **ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = file_read(path, HISTORY_MAX, &text, &len, err);

    return r < 0 ? r : history_parse(path, text, len, ret, err);
}
