/* SPDX-License-Identifier: AGPL-3.0-only */

/* Deployments and Devices of the API server: what a new state of one means. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/operator/decide_internal.h"

/* Versions of one resource grow, although Kubernetes long called them opaque; here a wrong guess
 * costs one needless look. */
static uint64_t version_of(const json_t *object)
{
    const char *text = json_path_str(object, "metadata.resourceVersion");

    return text ? strtoull(text, NULL, 10) : 0;
}

/* An answer may overtake the watch. A full list is the truth, also one of a server that lost its
 * data and counts from the beginning. */
static bool is_stale(const struct step *s, enum source source, const json_t *object, uint64_t known)
{
    return !s->w->listing[source] && version_of(object) < known;
}

/* --- Deployments -------------------------------------------------------------------------- */

static char *dep_key(const json_t *object)
{
    const char *ns = json_path_str(object, "metadata.namespace"), *name = object_name(object);

    return ns && name ? xasprintf("%s/%s", ns, name) : NULL;
}

static struct dep *dep_find_or_make(struct step *s, const char *key, const char *name)
{
    struct dep *dep = map_get(&s->w->deps, key);

    if (dep)
        return dep;
    dep = xcalloc(1, sizeof(*dep));
    dep->key = xstrdup(key);
    dep->name = world_name(s->w, name);
    list_add(&dep->name->contenders, &dep->in_name);
    map_put(&s->w->deps, key, dep);
    return dep;
}

/* Does it want something else of its devices, or is it another one? */
static bool is_other(const struct dep *dep, const struct deployment *now, const char *invalid,
                     const struct blob *score)
{
    const struct deployment *before = &dep->object;

    return !str_eq(before->uid, now->uid) || before->deleting != now->deleting ||
           !str_eq(dep->invalid, invalid) || dep->score != score ||
           !selector_equal(&before->selector, &now->selector);
}

/* Told when it was seen: what was only meant to be written may be lost. */
static void tell_ready(struct step *s, const struct dep *dep, const json_t *status)
{
    const char *ready = condition_status(status, "Ready");

    if (ready && !str_eq(ready, condition_status(dep->object.status, "Ready")))
        add_log(s, false, "deployment %s is %sready: %s", dep->key,
                str_eq(ready, "True") ? "" : "not ", condition_message(status, "Ready"));
}

static void dep_seen(struct step *s, const json_t *object)
{
    CLEANUP_FREE char *key = dep_key(object), *invalid = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct deployment now = { 0 };
    bool other, got_finalizer;
    struct blob *score;
    struct dep *dep;

    if (!key)
        return;
    dep = dep_find_or_make(s, key, object_name(object));
    dep->epoch = s->w->epoch[SOURCE_DEPLOYMENTS];
    if (is_stale(s, SOURCE_DEPLOYMENTS, object, dep->version))
        return;
    dep->version = version_of(object);
    if (deployment_decode(object, &now, &err) < 0)
        invalid = xstrdup(err_text(err));

    score = blob_get(s->w, now.score);
    other = !dep->object.uid || is_other(dep, &now, invalid, score);
    got_finalizer = now.has_finalizer && !dep->object.has_finalizer;
    if (now.generation != dep->object.generation && now.generation > now.observed_generation)
        add_log(s, invalid != NULL, "deployment %s generation %jd%s%s", key,
                (intmax_t)now.generation, invalid ? ": " : "", invalid ? invalid : "");
    if (str_eq(now.uid, dep->object.uid))
        tell_ready(s, dep, now.status);
    if (now.deleting && !dep->object.deleting)
        add_log(s, false, "deployment %s is being deleted", key);

    deployment_done(&dep->object);
    dep->object = now;
    json_decref(dep->finalizers);
    dep->finalizers = json_incref(json_path(object, "metadata.finalizers"));
    free(dep->invalid);
    dep->invalid = steal_ptr(invalid);
    blob_set(s->w, &dep->score, score);
    blob_unref(s->w, score);

    if (other)
        match_name(s, dep->name);
    if (got_finalizer)
        LIST_EACH(link, &dep->name->cells)
    cell_refresh(s->w, LIST_ITEM(link, struct cell, in_name));
    dep_touch(s->w, dep);
}

static void dep_lost(struct step *s, struct dep *dep)
{
    struct name *n = dep->name;

    add_log(s, false, "deployment %s is gone", dep->key);
    n->pins++;
    if (n->owner == dep)
        n->owner = NULL;
    list_remove(&dep->in_name);
    world_drop_dep(s->w, dep);
    n->pins--;
    match_name(s, n);
}

/* --- Devices ------------------------------------------------------------------------------ */

/* The labels that we gave it, by our entry in metadata.managedFields. */
static void read_applied(const json_t *object, struct labels *ret)
{
    const json_t *fields = json_path(object, "metadata.managedFields"), *entry;
    const json_t *labels = json_path(object, "metadata.labels");
    size_t i;

    json_array_foreach(fields, i, entry)
    {
        json_t *ours = json_path(entry, "fieldsV1.f:metadata.f:labels"), *value;
        const char *key;

        if (!str_eq(json_path_str(entry, "manager"), FLEET_FIELD_MANAGER) ||
            !str_eq(json_path_str(entry, "operation"), "Apply"))
            continue;
        json_object_foreach(ours, key, value)
        {
            const char *text = str_starts(key, "f:")
                                       ? json_string_value(json_object_get(labels, key + 2))
                                       : NULL;
            if (text)
                labels_set(ret, key + 2, text);
        }
    }
}

static void device_seen(struct step *s, const json_t *object)
{
    const json_t *inventory = json_path(object, "spec.inventory");
    const json_t *status = json_object_get(object, "status");
    const char *id = object_name(object);
    struct labels applied = { 0 };
    struct device *d;
    bool other;

    if (device_id_check(id ? id : "", NULL) < 0)
        return;
    d = world_device(s->w, id);
    d->object_epoch = s->w->epoch[SOURCE_DEVICES];
    if (d->has_object && is_stale(s, SOURCE_DEVICES, object, d->version))
        return;
    d->version = version_of(object);
    read_applied(object, &applied);
    other = !d->has_object || (!d->has_info && !labels_equal(&applied, &d->applied));
    d->has_object = true;
    labels_done(&d->applied);
    d->applied = applied;
    free(d->applied_inventory);
    d->applied_inventory = inventory ? json_text_sorted(inventory) : NULL;
    json_decref(d->status);
    d->status = json_is_object(status) ? json_deep_copy(status) : NULL;

    if (!d->heard && d->reach == REACH_UNDECIDED &&
        str_eq(condition_status(d->status, "Reachable"), "True")) {
        d->reach = REACH_LATE;
        d->since_ms = s->mono_ms;
        list_add(&s->w->alive, &d->in_alive);
    }
    device_touch(s->w, d);
    if (other)
        match_device(s, d);
}

static void device_lost(struct step *s, struct device *d)
{
    d->has_object = false;
    d->version = 0;
    labels_done(&d->applied);
    free(steal_ptr(d->applied_inventory));
    json_decref(steal_ptr(d->status));
    add_log(s, false, "device %s: its object is gone%s", d->id,
            d->has_info ? "; its device-info is there, so it is made again" : "");
    device_touch(s->w, d);
    match_device(s, d);
}

/* --- both --------------------------------------------------------------------------------- */

void object_seen(struct step *s, enum source source, const json_t *object)
{
    if (source == SOURCE_DEPLOYMENTS)
        dep_seen(s, object);
    else
        device_seen(s, object);
}

void object_gone(struct step *s, enum source source, const json_t *object)
{
    if (source == SOURCE_DEPLOYMENTS) {
        CLEANUP_FREE char *key = dep_key(object);
        struct dep *dep = key ? map_get(&s->w->deps, key) : NULL;

        if (dep && !is_stale(s, source, object, dep->version))
            dep_lost(s, dep);
    } else {
        const char *id = object_name(object);
        struct device *d = id ? map_get(&s->w->devices, id) : NULL;

        if (d && d->has_object && !is_stale(s, source, object, d->version))
            device_lost(s, d);
    }
}

void objects_sweep(struct step *s, enum source source)
{
    struct world *w = s->w;

    if (source == SOURCE_DEPLOYMENTS)
        MAP_EACH(e, &w->deps)
        {
            struct dep *dep = e->value;

            if (dep->epoch != w->epoch[source])
                dep_lost(s, dep);
        }
    else
        MAP_EACH(e, &w->devices)
        {
            struct device *d = e->value;

            if (d->has_object && d->object_epoch != w->epoch[source])
                device_lost(s, d);
        }
}
