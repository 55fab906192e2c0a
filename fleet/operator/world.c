/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

/* --- blobs -------------------------------------------------------------------------------- */

struct blob *blob_get(struct world *w, const char *text)
{
    struct blob *b = text ? map_get(&w->blobs, text) : NULL;
    size_t size = text ? strlen(text) + 1 : 0;

    if (!text)
        return NULL;
    if (!b) {
        b = xmalloc(sizeof(*b) + size);
        b->refs = 0;
        memcpy(b->text, text, size);
        map_put(&w->blobs, text, b);
    }
    return blob_ref(b);
}

struct blob *blob_ref(struct blob *b)
{
    if (b)
        b->refs++;
    return b;
}

void blob_unref(struct world *w, struct blob *b)
{
    if (!b || --b->refs > 0)
        return;
    map_remove(&w->blobs, b->text);
    free(b);
}

void blob_set(struct world *w, struct blob **dst, struct blob *b)
{
    struct blob *old = *dst;

    *dst = blob_ref(b);
    blob_unref(w, old);
}

/* --- names, devices, cells ---------------------------------------------------------------- */

struct name *world_name(struct world *w, const char *name)
{
    struct name *n = map_get(&w->names, name);

    if (n)
        return n;
    n = xcalloc(1, sizeof(*n));
    n->name = xstrdup(name);
    list_init(&n->cells);
    list_init(&n->contenders);
    list_init(&n->failed);
    map_put(&w->names, name, n);
    return n;
}

void world_drop_name(struct world *w, struct name *n)
{
    if (!list_empty(&n->cells) || !list_empty(&n->contenders) || n->pins)
        return;
    map_remove(&w->names, n->name);
    free(n->name);
    free(n);
}

struct device *world_device(struct world *w, const char *id)
{
    struct device *d = map_get(&w->devices, id);

    if (d)
        return d;
    d = xcalloc(1, sizeof(*d));
    d->id = xstrdup(id);
    list_init(&d->cells);
    map_put(&w->devices, id, d);
    return d;
}

static void device_free(struct device *d)
{
    list_remove(&d->in_alive);
    list_remove(&d->in_todo);
    labels_done(&d->labels);
    labels_done(&d->applied);
    json_decref(d->status);
    free(d->inventory);
    free(d->info_version);
    free(d->applied_inventory);
    free(d->beat_version);
    free(d->id);
    free(d);
}

void world_drop_device(struct world *w, struct device *d)
{
    if (!list_empty(&d->cells) || device_known(d) || d->heard || d->flying || d->pins)
        return;
    map_remove(&w->devices, d->id);
    device_free(d);
}

struct cell *world_cell(struct world *w, struct device *device, struct name *name)
{
    char key[KEY_MAX];
    struct cell *c;

    key_desired(key, device->id, name->name);
    c = map_get(&w->cells, key);
    if (c)
        return c;
    c = xcalloc(1, sizeof(*c));
    c->key = xstrdup(key);
    c->device = device;
    c->name = name;
    list_add(&device->cells, &c->in_device);
    list_add(&name->cells, &c->in_name);
    map_put(&w->cells, key, c);
    return c;
}

struct cell *world_cell_of(struct world *w, const char *device, const char *name)
{
    return world_cell(w, world_device(w, device), world_name(w, name));
}

static void cell_free(struct world *w, struct cell *c)
{
    list_remove(&c->in_name);
    list_remove(&c->in_device);
    list_remove(&c->in_dirty);
    list_remove(&c->in_failed);
    blob_unref(w, c->want);
    blob_unref(w, c->have);
    blob_unref(w, c->sent);
    free(c->error);
    free(c->key);
    free(c);
}

static enum tally tally_of(const struct cell *c)
{
    if (!c->matched)
        return TALLY_NONE;
    if (!c->reported || c->phase == PHASE_PENDING)
        return TALLY_PENDING;
    return c->phase == PHASE_RUNNING ? TALLY_SUCCEEDED : TALLY_FAILED;
}

/* Behind those that are not newer. Reports come nearly in order: the place is near the end. */
static void insert_failed(struct name *n, struct cell *c)
{
    struct list_link *place = n->failed.head.prev;

    while (place != &n->failed.head &&
           LIST_ITEM(place, struct cell, in_failed)->phase_at_ms > c->phase_at_ms)
        place = place->prev;
    list_insert(place, &c->in_failed);
}

static void count(struct world *w, struct cell *c)
{
    enum tally tally = tally_of(c);
    struct name *n = c->name;

    if (tally != TALLY_FAILED)
        list_remove(&c->in_failed);
    else if (!list_linked(&c->in_failed))
        insert_failed(n, c);
    if (tally == c->tally)
        return;
    if (c->tally)
        n->counts[c->tally]--;
    if (tally)
        n->counts[tally]++;
    c->tally = tally;
    name_touch(w, n);
}

void world_mark_deleted(struct world *w, const char *key, bool deleted)
{
    if (deleted)
        map_put(&w->deleted, key, (void *)(uintptr_t)w->epoch[SOURCE_DESIRED]);
    else
        map_remove(&w->deleted, key);
}

/* Nobody is in the middle of telling us something. */
static bool all_is_known(const struct world *w)
{
    for (enum source i = 0; i < SOURCE_HEARTBEAT; i++)
        if (!w->whole[i] || w->listing[i])
            return false;
    return w->open;
}

bool cell_needs_marker(const struct world *w, const struct cell *c)
{
    return c->reported && !c->matched && !c->want && !cell_holds(c) && !name_frozen(c->name) &&
           c->device->has_info && all_is_known(w) && !map_get(&w->deleted, c->key);
}

void cell_refresh(struct world *w, struct cell *c)
{
    bool unsettled =
            (c->flying && !c->acked) || cell_holds(c) != c->want || cell_needs_marker(w, c);
    struct name *n = c->name;
    struct device *d = c->device;

    count(w, c);
    if (unsettled != c->unsettled) {
        c->unsettled = unsettled;
        n->unsettled += unsettled ? 1 : (size_t)-1;
        name_touch(w, n);
    }
    if (unsettled && !c->flying && !list_linked(&c->in_dirty))
        list_add(&w->dirty, &c->in_dirty);
    if (unsettled || c->matched || c->want || c->have || c->flying || c->reported)
        return;
    map_remove(&w->cells, c->key);
    cell_free(w, c);
    world_drop_name(w, n);
    world_drop_device(w, d);
}

/* --- queues ------------------------------------------------------------------------------- */

void dep_touch(struct world *w, struct dep *dep)
{
    list_add(&w->todo_deps, &dep->in_todo);
}

void device_touch(struct world *w, struct device *d)
{
    list_add(&w->todo_devices, &d->in_todo);
}

void name_touch(struct world *w, struct name *n)
{
    LIST_EACH(link, &n->contenders)
    {
        struct dep *dep = LIST_ITEM(link, struct dep, in_name);

        if (dep == n->owner || dep->object.deleting)
            dep_touch(w, dep);
    }
}

/* --- all ---------------------------------------------------------------------------------- */

static void dep_free(struct world *w, struct dep *dep)
{
    list_remove(&dep->in_name);
    list_remove(&dep->in_todo);
    deployment_done(&dep->object);
    json_decref(dep->finalizers);
    blob_unref(w, dep->score);
    free(dep->invalid);
    free(dep->key);
    free(dep);
}

void world_drop_dep(struct world *w, struct dep *dep)
{
    map_remove(&w->deps, dep->key);
    dep_free(w, dep);
}

void world_init(struct world *w, int64_t unreachable_after_ms)
{
    *w = (struct world){ .unreachable_after_ms = unreachable_after_ms, .later_ms = INT64_MAX };
    list_init(&w->dirty);
    list_init(&w->todo_deps);
    list_init(&w->todo_devices);
    list_init(&w->later_dirty);
    list_init(&w->later_deps);
    list_init(&w->later_devices);
    list_init(&w->alive);
}

void world_done(struct world *w)
{
    MAP_EACH(e, &w->cells)
    cell_free(w, e->value);
    MAP_EACH(e, &w->deps)
    dep_free(w, e->value);
    MAP_EACH(e, &w->devices)
    device_free(e->value);
    MAP_EACH(e, &w->names)
    {
        struct name *n = e->value;

        free(n->name);
        free(n);
    }
    map_done(&w->cells);
    map_done(&w->deps);
    map_done(&w->devices);
    map_done(&w->names);
    map_done(&w->blobs);
    map_done(&w->bad);
    map_done(&w->deleted);
}
