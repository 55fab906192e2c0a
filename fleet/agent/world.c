/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"

#define BACKOFF_MAX_MS (10 * 60 * 1000)

int64_t world_backoff_ms(const struct world *w, unsigned attempts)
{
    int64_t ms = w->tick_ms;

    while (attempts-- > 0 && ms < BACKOFF_MAX_MS)
        ms *= 2;
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

/* --- lifetime ------------------------------------------------------------------------------- */

static void tasks_done(struct workload *l)
{
    for (size_t i = 0; i < l->n_tasks; i++) {
        free(l->tasks[i].current);
        free(l->tasks[i].next);
        free(l->tasks[i].failure);
    }
    free(steal_ptr(l->tasks));
    l->n_tasks = 0;
    score_done(&l->score);
    l->score = (struct score){ 0 };
}

static void workload_free(struct workload *l)
{
    tasks_done(l);
    free(l->name);
    free(l->bytes);
    free(l->bad);
    free(l->acting_on);
    free(l->unstored);
    free(l->failure);
    free(l->error);
    free(l);
}

void observed_done(struct observed *o)
{
    free(o->name);
    free(o->deployment);
    free(o->service);
    free(o->spec);
    *o = (struct observed){ 0 };
}

static void observed_clear(struct world *w)
{
    for (size_t i = 0; i < w->n_observed; i++)
        observed_done(&w->observed[i]);
    free(steal_ptr(w->observed));
    w->n_observed = 0;
}

void world_done(struct world *w)
{
    for (size_t i = 0; i < w->n_workloads; i++)
        workload_free(w->workloads[i]);
    free(w->workloads);
    observed_clear(w);
    map_done(&w->deleted);
    free(w->podman_failure);
    *w = (struct world){ 0 };
}

/* --- workloads ------------------------------------------------------------------------------ */

/* Where it is, or where it belongs. */
static size_t place_of(const struct world *w, const char *name)
{
    size_t low = 0, high = w->n_workloads;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(w->workloads[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct workload *world_find(const struct world *w, const char *deployment)
{
    size_t i = place_of(w, deployment);

    return i < w->n_workloads && str_eq(w->workloads[i]->name, deployment) ? w->workloads[i] : NULL;
}

static struct workload *find_or_add(struct world *w, const char *deployment)
{
    size_t i = place_of(w, deployment);
    struct workload *l;

    if (i < w->n_workloads && str_eq(w->workloads[i]->name, deployment))
        return w->workloads[i];
    w->workloads = grow(w->workloads, w->n_workloads, &w->cap_workloads, sizeof(struct workload *));
    memmove(w->workloads + i + 1, w->workloads + i,
            (w->n_workloads - i) * sizeof(struct workload *));
    w->n_workloads++;
    l = w->workloads[i] = xcalloc(1, sizeof(*l));
    l->name = xstrdup(deployment);
    return l;
}

void world_forget(struct world *w, const char *deployment)
{
    size_t i = place_of(w, deployment);

    if (i >= w->n_workloads || !str_eq(w->workloads[i]->name, deployment))
        return;
    workload_free(w->workloads[i]);
    w->n_workloads--;
    memmove(w->workloads + i, w->workloads + i + 1,
            (w->n_workloads - i) * sizeof(struct workload *));
}

/* Everything of a service that its container is made from, each value with its length in front, so
 * that different services cannot give the same text. */
static void spec_digest(const struct service *s, char text[static DIGEST_TEXT])
{
    CLEANUP_BUF struct buf b = BUF_INIT(4 * SCORE_MAX);

    buf_addf(&b, "1 %zu:%s %s", strlen(s->image), s->image, restart_policy_text(s->restart_policy));
    buf_addf(&b, " ports %zu", s->n_ports);
    for (size_t i = 0; i < s->n_ports; i++)
        buf_addf(&b, " %u:%u/%s", s->ports[i].host, s->ports[i].container, s->ports[i].protocol);
    buf_addf(&b, " env %zu", s->n_env);
    for (size_t i = 0; i < s->n_env; i++)
        buf_addf(&b, " %zu:%s %zu:%s", strlen(s->env[i].name), s->env[i].name,
                 strlen(s->env[i].value), s->env[i].value);
    buf_addf(&b, " volumes %zu", s->n_volumes);
    for (size_t i = 0; i < s->n_volumes; i++)
        buf_addf(&b, " %zu:%s %zu:%s %s", strlen(s->volumes[i].host_path), s->volumes[i].host_path,
                 strlen(s->volumes[i].container_path), s->volumes[i].container_path,
                 s->volumes[i].read_only ? "ro" : "rw");
    digest(b.data, b.len, text);
}

static void make_tasks(struct workload *l)
{
    l->n_tasks = l->score.n_services;
    l->tasks = xcalloc(l->n_tasks, sizeof(*l->tasks));
    for (size_t i = 0; i < l->n_tasks; i++) {
        struct task *t = &l->tasks[i];

        t->service = &l->score.services[i];
        t->current = xasprintf("%s.%s", l->name, t->service->name);
        t->next = xasprintf("%s.next", t->current);
        spec_digest(t->service, t->spec);
    }
}

/* The action that is under way outlives the tasks that it was decided for. */
static void detach_action(struct workload *l)
{
    l->acting.task = NULL;
}

bool world_want(struct world *w, const char *deployment, const char *bytes, size_t len)
{
    struct workload *l = find_or_add(w, deployment);
    CLEANUP_ERR struct err *bad = NULL;

    map_remove(&w->deleted, deployment);
    if (l->wanted && l->len == len && memcmp(l->bytes, bytes, len) == 0)
        return false;
    detach_action(l);
    tasks_done(l);
    free(l->bytes);
    l->bytes = xmalloc(len + 1);
    memcpy(l->bytes, bytes, len);
    l->bytes[len] = '\0';
    l->len = len;
    l->wanted = true;
    l->orphan = false;
    l->attempts = 0;
    l->pause_ms = 0;
    replace_str(&l->failure, NULL);
    replace_str(&l->bad, NULL);
    if (score_decode(l->bytes, len, &l->score, &bad) < 0)
        l->bad = xstrdup(err_text(bad));
    else
        make_tasks(l);
    return true;
}

bool world_unwant(struct world *w, const char *deployment)
{
    struct workload *l = world_find(w, deployment);

    map_put(&w->deleted, deployment, w);
    if (l ? !l->wanted && !l->orphan : w->in_snapshot)
        return false;
    if (!l)
        l = find_or_add(w, deployment);
    l->wanted = l->orphan = false;
    detach_action(l);
    tasks_done(l);
    l->attempts = 0;
    l->pause_ms = 0;
    replace_str(&l->failure, NULL);
    replace_str(&l->bad, NULL);
    return true;
}

void world_snapshot_begin(struct world *w)
{
    w->in_snapshot = true;
    for (size_t i = 0; i < w->n_workloads; i++)
        w->workloads[i]->seen = false;
}

void world_saw(struct world *w, const char *deployment)
{
    struct workload *l = world_find(w, deployment);

    if (!l)
        return;
    l->seen = true;
    l->missed = false;
}

void world_snapshot_end(struct world *w, void (*kept)(const char *deployment, void *userdata),
                        void *userdata)
{
    w->in_snapshot = false;
    w->knows_all = true;
    for (size_t i = 0; i < w->n_workloads; i++) {
        struct workload *l = w->workloads[i];

        if (!l->wanted || l->seen || l->missed)
            continue;
        l->missed = true;
        kept(l->name, userdata);
    }
}

/* --- containers ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct observed *)a)->name, ((const struct observed *)b)->name);
}

const struct observed *world_container(const struct world *w, const char *name)
{
    struct observed key = { .name = (char *)name };

    return w->n_observed ? bsearch(&key, w->observed, w->n_observed, sizeof(key), by_name) : NULL;
}

unsigned world_listing(struct world *w)
{
    return ++w->listings;
}

static void note_containers_of(struct world *w, const char *deployment)
{
    if (deployment_name_check(deployment, NULL) < 0 || world_find(w, deployment))
        return; /* a name that nobody could have deployed is not ours to judge */
    find_or_add(w, deployment)->orphan = !map_get(&w->deleted, deployment);
}

void world_observe(struct world *w, unsigned listing, struct observed *items, size_t n)
{
    observed_clear(w);
    w->observed = items;
    w->n_observed = n;
    w->listed = listing;
    replace_str(&w->podman_failure, NULL);
    if (n)
        qsort(items, n, sizeof(*items), by_name);
    for (size_t i = 0; w->knows_all && i < n; i++)
        note_containers_of(w, items[i].deployment);
}

void world_podman_failed(struct world *w, const char *reason, int64_t now_ms)
{
    if (!w->podman_failure)
        w->podman_failed_ms = now_ms;
    replace_str(&w->podman_failure, reason);
}
