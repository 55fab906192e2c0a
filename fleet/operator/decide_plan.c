/* SPDX-License-Identifier: AGPL-3.0-only */

/* Compares all that is queued with what it should be, and makes the difference into actions. */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/operator/decide_internal.h"

#define WRITES_MAX 512 /* under way at once */
#define CALLS_MAX 16
#define STATUS_MS 1000 /* the status of one deployment is written no more often */
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define GRAIN_MS 50 /* what is due within it is done in one go */

/* --- waiting ------------------------------------------------------------------------------ */

static bool is_due(struct step *s, const struct retry *r, struct list *later,
                   struct list_link *link)
{
    if (r->due_ms <= s->mono_ms)
        return true;
    list_add(later, link);
    if (r->due_ms < s->w->later_ms)
        s->w->later_ms = r->due_ms;
    return false;
}

static void move_all(struct list *to, struct list *from)
{
    LIST_EACH(link, from)
    {
        list_remove(link);
        list_add(to, link);
    }
}

static void wake_later(struct step *s)
{
    struct world *w = s->w;

    if (w->later_ms > s->mono_ms)
        return;
    w->later_ms = INT64_MAX;
    move_all(&w->dirty, &w->later_dirty);
    move_all(&w->todo_deps, &w->later_deps);
    move_all(&w->todo_devices, &w->later_devices);
}

static void back_off(struct step *s, struct retry *r)
{
    r->wait_ms = r->wait_ms ? r->wait_ms * 2 : RETRY_MIN_MS;
    if (r->wait_ms > RETRY_MAX_MS)
        r->wait_ms = RETRY_MAX_MS;
    r->due_ms = (s->mono_ms + r->wait_ms + GRAIN_MS) / GRAIN_MS * GRAIN_MS;
}

/* --- keys --------------------------------------------------------------------------------- */

static void plan_cell(struct step *s, struct cell *c)
{
    const struct dep *owner = c->name->owner;
    struct action *a;

    if (c->flying || (c->have == c->want && !cell_needs_marker(s->w, c)))
        return;
    /* The finalizer comes first, so that no key can be left behind; its arrival queues the cell. */
    if (c->want && owner && !owner->invalid && !owner->object.has_finalizer)
        return;
    if (!is_due(s, &c->retry, &s->w->later_dirty, &c->in_dirty))
        return;
    if (!c->want && !c->have && !c->retry.wait_ms)
        add_log(s, false,
                "device %s reports %s, which nothing wants: it is told that it is deleted",
                c->device->id, c->name->name);
    a = add_action(s, c->want ? ACTION_WRITE : ACTION_DELETE, c->key);
    a->value = c->want ? c->want->text : NULL;
    blob_set(s->w, &c->sent, c->want);
    c->flying = true;
    c->acked = false;
    s->w->writing++;
}

static void write_done(struct step *s, const struct event *e)
{
    struct world *w = s->w;
    struct cell *c = map_get(&w->cells, e->target);

    w->writing--;
    if (!c || !c->flying)
        return;
    if (e->failure) {
        back_off(s, &c->retry);
        if (err_code(e->failure) != ENOTCONN)
            add_log(s, true, "writing desired state %s: %s; trying again in %jd s", c->key,
                    err_text(e->failure), (intmax_t)c->retry.wait_ms / 1000);
    } else {
        c->retry.wait_ms = 0;
        c->acked = true;
        if (!c->sent)
            world_mark_deleted(w, c->key, true);
    }
    /* Done when the watch has shown it already; else that will tell. */
    if (e->failure || c->have == c->sent) {
        c->flying = false;
        blob_set(w, &c->sent, NULL);
    }
    cell_refresh(w, c);
}

/* --- devices ------------------------------------------------------------------------------ */

static json_t *device_object(const struct device *d)
{
    return json_pack("{s:s, s:s, s:{s:s, s:o}, s:{s:o}}", "apiVersion", FLEET_API_VERSION, "kind",
                     "Device", "metadata", "name", d->id, "labels", labels_encode(&d->labels),
                     "spec", "inventory", json_loads(d->inventory, 0, NULL));
}

static void plan_device(struct step *s, struct device *d)
{
    const struct world *w = s->w;
    struct action *a;
    json_t *patch;

    if (d->flying || !w->whole[SOURCE_DEVICES])
        return;
    if (!is_due(s, &d->retry, &s->w->later_devices, &d->in_todo))
        return;
    if (d->has_info && (!d->has_object || !labels_equal(&d->labels, &d->applied) ||
                        !str_eq(d->inventory, d->applied_inventory))) {
        a = add_action(s, ACTION_DEVICE, d->id);
        a->body = device_object(d);
    } else {
        patch = d->has_object && w->whole[SOURCE_HEARTBEAT] ? status_of_device(d, s->wall_ms)
                                                            : NULL;
        if (!patch)
            return;
        a = add_action(s, ACTION_DEVICE_STATUS, d->id);
        a->body = patch;
    }
    d->flying = true;
    s->w->calling++;
}

/* --- deployments -------------------------------------------------------------------------- */

/* All of the finalizers, with or without ours; only if nobody else changed the object meanwhile. */
static json_t *finalizer_patch(const struct dep *dep, bool with_ours)
{
    CLEANUP_FREE char *version = xasprintf("%ju", (uintmax_t)dep->version);
    json_t *list = json_array(), *item;
    size_t i;

    json_array_foreach(dep->finalizers, i, item)
    {
        if (!str_eq(json_string_value(item), FLEET_FINALIZER))
            json_array_append(list, item);
    }
    if (with_ours)
        json_array_append_new(list, json_string(FLEET_FINALIZER));
    return json_pack("{s:{s:s, s:o}}", "metadata", "resourceVersion", version, "finalizers", list);
}

static bool owns_devices(const struct dep *dep)
{
    const struct name *n = dep->name;

    return n->owner == dep && !dep->invalid &&
           n->counts[TALLY_PENDING] + n->counts[TALLY_SUCCEEDED] + n->counts[TALLY_FAILED] > 0;
}

static json_t *plan_finalizer(const struct dep *dep)
{
    if (dep->object.deleting)
        return dep->object.has_finalizer && dep->name->unsettled == 0 ? finalizer_patch(dep, false)
                                                                      : NULL;
    return !dep->object.has_finalizer && owns_devices(dep) ? finalizer_patch(dep, true) : NULL;
}

static void plan_dep(struct step *s, struct dep *dep)
{
    struct world *w = s->w;
    enum action_type type = ACTION_DEPLOYMENT;
    json_t *patch;
    struct action *a;

    if (dep->flying || !w->open || !is_due(s, &dep->retry, &w->later_deps, &dep->in_todo))
        return;
    patch = plan_finalizer(dep);
    if (!patch && !dep->object.deleting && w->whole[SOURCE_STATE]) {
        type = ACTION_STATUS;
        patch = status_of_dep(dep, s->wall_ms);
        if (patch && dep->patched_ms && s->mono_ms < dep->patched_ms + STATUS_MS) {
            dep->retry.due_ms = (dep->patched_ms + STATUS_MS + GRAIN_MS) / GRAIN_MS * GRAIN_MS;
            is_due(s, &dep->retry, &w->later_deps, &dep->in_todo);
            json_decref(patch);
            return;
        }
    }
    if (!patch)
        return;
    if (type == ACTION_STATUS)
        dep->patched_ms = s->mono_ms;
    a = add_action(s, type, dep->key);
    a->body = patch;
    dep->flying = true;
    w->calling++;
}

/* --- both --------------------------------------------------------------------------------- */

/* The object is gone or was changed by somebody else, which its list tells; or the API server cannot
 * be reached, which is told once and not for each object. */
static bool is_told_elsewhere(const struct err *failure)
{
    switch (err_code(failure)) {
    case ENOENT:
    case ESTALE:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static void call_done(struct step *s, const struct event *e)
{
    bool is_device = e->action == ACTION_DEVICE || e->action == ACTION_DEVICE_STATUS;
    struct world *w = s->w;
    struct dep *dep = is_device ? NULL : map_get(&w->deps, e->target);
    struct device *d = is_device ? map_get(&w->devices, e->target) : NULL;
    struct retry *retry = dep ? &dep->retry : d ? &d->retry : NULL;

    w->calling--;
    if (!retry)
        return;
    if (dep) {
        dep->flying = false;
        dep_touch(w, dep);
    } else {
        d->flying = false;
        device_touch(w, d);
    }
    if (e->failure) {
        back_off(s, retry);
        if (!is_told_elsewhere(e->failure))
            add_log(s, true, "%s %s: %s; trying again in %jd s",
                    is_device ? "device" : "deployment", e->target, err_text(e->failure),
                    (intmax_t)retry->wait_ms / 1000);
    } else {
        retry->wait_ms = 0;
        if (e->object)
            object_seen(s, is_device ? SOURCE_DEVICES : SOURCE_DEPLOYMENTS, e->object);
    }
    if (d)
        world_drop_device(w, d);
}

void plan_done(struct step *s, const struct event *e)
{
    if (e->action == ACTION_WRITE || e->action == ACTION_DELETE)
        write_done(s, e);
    else
        call_done(s, e);
}

void plan(struct step *s)
{
    struct world *w = s->w;
    struct list_link *link;

    wake_later(s);
    while (w->open && w->bus_up && w->writing < WRITES_MAX && (link = list_first(&w->dirty))) {
        list_remove(link);
        plan_cell(s, LIST_ITEM(link, struct cell, in_dirty));
    }
    while (w->calling < CALLS_MAX && (link = list_first(&w->todo_deps))) {
        list_remove(link);
        plan_dep(s, LIST_ITEM(link, struct dep, in_todo));
    }
    while (w->calling < CALLS_MAX && (link = list_first(&w->todo_devices))) {
        list_remove(link);
        plan_device(s, LIST_ITEM(link, struct device, in_todo));
    }
}
