/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/past.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/runs.h"
#include "rig/run/history.h"

#define RUNS_MAX 60 /* newest folders that are looked into */

struct times {
    int64_t *ms;
    size_t n, cap;
};

struct past {
    struct map times; /* by "SCENARIO\nSTEP", the whole run without a step */
};

static char *key_of(const char *scenario, const char *step)
{
    return xasprintf("%s\n%s", scenario, step ? step : "");
}

static void learn(struct past *p, const char *scenario, const char *step, int64_t ms)
{
    CLEANUP_FREE char *key = key_of(scenario, step);
    struct times *t = map_get(&p->times, key);

    if (!t) {
        t = xcalloc(1, sizeof(*t));
        map_put(&p->times, key, t);
    }
    t->ms = grow(t->ms, t->n, &t->cap, sizeof(*t->ms));
    t->ms[t->n++] = ms;
}

static void read_run(struct past *p, const char *dir, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s/" RUN_HISTORY, dir, name);
    CLEANUP(history_free) struct history *h = NULL;

    if (history_read(path, &h, NULL) < 0 || !h->ended || h->result.result != RESULT_PASSED)
        return;
    learn(p, h->run.scenario, NULL, h->total_ms);
    for (size_t i = 0; i < h->result.n_steps; i++)
        learn(p, h->run.scenario, h->result.steps[i].name, h->result.steps[i].took_ms);
}

struct past *past_read(const char *dir)
{
    struct past *p = xcalloc(1, sizeof(*p));
    CLEANUP_STRV char **names = run_folders_list(dir);
    size_t n = strv_len(names);

    for (size_t i = n > RUNS_MAX ? n - RUNS_MAX : 0; i < n; i++)
        read_run(p, dir, names[i]);
    return p;
}

void past_free(struct past *p)
{
    if (!p)
        return;
    MAP_EACH(entry, &p->times)
    {
        struct times *t = entry->value;

        free(t->ms);
        free(t);
    }
    map_done(&p->times);
    free(p);
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int64_t past_step_ms(const struct past *p, const char *scenario, const char *step)
{
    CLEANUP_FREE char *key = key_of(scenario, step);
    const struct times *t = map_get(&p->times, key);

    if (!t)
        return -1;
    qsort(t->ms, t->n, sizeof(*t->ms), by_size);
    return t->ms[t->n / 2];
}

int64_t past_run_ms(const struct past *p, const char *scenario)
{
    return past_step_ms(p, scenario, NULL);
}
