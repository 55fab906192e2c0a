/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/outcome.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rig/cmd/runs.h"

static enum result result_of(int code)
{
    switch (code) {
    case RIG_PASSED:
        return RESULT_PASSED;
    case RIG_INT:
    case RIG_TERM:
        return RESULT_INTERRUPTED;
    default:
        return RESULT_FAILED;
    }
}

/* A history of nothing. */
static struct history *blank(const char *scenario)
{
    struct history_run run = { .scenario = (char *)scenario, .began_wall_ms = clock_wall_ms() };
    struct history_writer *writer = NULL;
    struct history *history = NULL;

    history_begin(/* path= */ NULL, &run, &writer, NULL);
    history_end(writer, RESULT_PASSED, 0, 0, 0, &history, NULL);
    return history;
}

/* Says in place of a run what became of it. */
static void add_words(struct outcome *o, const char *step, const char *words)
{
    if (!o->history)
        o->history = blank(o->scenario);
    run_result_add(&o->history->result, step, o->result, 0, words);
    o->history->result.result = o->result;
}

void outcome_take(struct outcome *o, struct one_run *run)
{
    *o = (struct outcome){ .scenario = run->scenario->name,
                           .result = run->result.result,
                           .no_lab = run->no_lab,
                           .folder = steal_ptr(run->folder),
                           .history = steal_ptr(run->history) };
}

void outcome_read(struct outcome *o, const char *scenario, const char *folder, int code,
                  const char *words)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_HISTORY, folder), *failure = NULL;

    *o = (struct outcome){ .scenario = scenario,
                           .folder = xstrdup(folder),
                           .result = result_of(code),
                           .no_lab = code == RIG_NO_LAB };
    history_read(path, &o->history, NULL);
    if (o->history && o->history->ended && o->history->result.result == o->result)
        return;
    /* The history ends before the run did: it died, or its disk was full. */
    if (code < 0)
        o->result = RESULT_FAILED;
    failure =
            xasprintf("%s\n%s", code < 0 ? "the run died; it said last:" : "it said last:", words);
    add_words(o, "run", failure);
}

static void unrun(struct outcome *o, const char *scenario, enum result result, const char *why)
{
    *o = (struct outcome){ .scenario = scenario, .result = result, .unrun = xstrdup(why) };
    add_words(o, "needs", why);
}

void outcome_skip(struct outcome *o, const char *scenario, const char *why)
{
    unrun(o, scenario, RESULT_SKIPPED, why);
}

void outcome_refuse(struct outcome *o, const char *scenario, const struct err *why)
{
    CLEANUP_FREE char *text = err_text_full(why);

    unrun(o, scenario, RESULT_FAILED, text);
    o->no_lab = true;
}

void outcome_done(struct outcome *o)
{
    free(o->folder);
    free(o->unrun);
    history_free(o->history);
    *o = (struct outcome){ 0 };
}

struct outcome *outcomes_add(struct outcomes *list)
{
    list->items = grow(list->items, list->n, &list->cap, sizeof(*list->items));
    list->items[list->n] = (struct outcome){ 0 };
    return &list->items[list->n++];
}

size_t outcomes_count(const struct outcomes *list, enum result result)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += list->items[i].result == result;
    return n;
}

int outcomes_code(const struct outcomes *list)
{
    size_t passed = outcomes_count(list, RESULT_PASSED);

    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].no_lab)
            return RIG_NO_LAB;
    if (passed + outcomes_count(list, RESULT_SKIPPED) < list->n)
        return RIG_FAILED;
    return passed > 0 ? RIG_PASSED : RIG_NOTHING;
}

void outcomes_done(struct outcomes *list)
{
    for (size_t i = 0; i < list->n; i++)
        outcome_done(&list->items[i]);
    free(list->items);
    *list = (struct outcomes){ 0 };
}
