/* SPDX-License-Identifier: AGPL-3.0-only */

/* Entries of the buckets: what a new value of a key means. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/operator/decide_internal.h"

static const char *const buckets[SOURCES] = {
    [SOURCE_DESIRED] = BUCKET_DESIRED_STATE,
    [SOURCE_INFO] = BUCKET_DEVICE_INFO,
    [SOURCE_STATE] = BUCKET_DEVICE_STATE,
    [SOURCE_HEARTBEAT] = BUCKET_DEVICE_HEARTBEAT,
};

/* --- corrupt messages --------------------------------------------------------------------- */

/* Told once for each revision: a full list brings them again and again. */
static void tell_bad(struct step *s, const struct event *e, const struct err *err)
{
    CLEANUP_FREE char *id = xasprintf("%s %s", buckets[e->source], e->key);
    void *revision = (void *)(uintptr_t)e->revision;

    if (map_put(&s->w->bad, id, revision) != revision)
        add_log(s, true, "%s: key %s, revision %" PRIu64 " is skipped: %s", buckets[e->source],
                e->key, e->revision, err_text(err));
}

static void forget_bad(struct step *s, const struct event *e)
{
    if (s->w->bad.n) {
        CLEANUP_FREE char *id = xasprintf("%s %s", buckets[e->source], e->key);

        map_remove(&s->w->bad, id);
    }
}

/* A device speaks for itself only: the key is what its permissions were checked against. */
static int check_same(const char *what, const char *said, const char *key, struct err **err)
{
    if (!str_eq(said, key))
        return err_new(err, EINVAL, "%s is \"%s\", the key says \"%s\"", what, said, key);
    return 0;
}

/* --- desired-state ------------------------------------------------------------------------ */

/* What we write is text; anything else is somebody's mistake and equals nothing that we want. */
static struct blob *blob_of(struct world *w, const struct event *e)
{
    if (!e->value)
        return NULL;
    return blob_get(w, memchr(e->value, '\0', e->len) ? "\1" : e->value);
}

static void desired_seen(struct step *s, const struct event *e)
{
    struct world *w = s->w;
    CLEANUP_ERR struct err *err = NULL;
    struct device_key key;
    struct blob *b;
    struct cell *c;

    if (key_parse_desired(e->key, &key, &err) < 0) {
        if (e->value)
            tell_bad(s, e, err);
        return;
    }
    world_mark_deleted(w, e->key, !e->value);
    if (!e->value && !map_get(&w->cells, e->key))
        return;
    c = world_cell_of(w, key.device, key.deployment);
    c->have_epoch = w->epoch[SOURCE_DESIRED];
    b = blob_of(w, e);
    blob_set(w, &c->have, b);
    if (c->flying && c->acked && b == c->sent) {
        c->flying = false;
        blob_set(w, &c->sent, NULL);
    }
    blob_unref(w, b);
    if (name_frozen(c->name) && !c->matched)
        blob_set(w, &c->want, c->have);
    cell_refresh(w, c);
}

/* Markers that the last full list did not hold were lost. */
static void markers_sweep(struct world *w)
{
    MAP_EACH(e, &w->deleted)
    if ((uintptr_t)e->value != w->epoch[SOURCE_DESIRED])
        map_remove(&w->deleted, e->key);
}

static void desired_lost(struct step *s, struct cell *c)
{
    blob_set(s->w, &c->have, NULL);
    cell_refresh(s->w, c);
}

/* --- device-info -------------------------------------------------------------------------- */

static void info_lost(struct step *s, struct device *d)
{
    d->has_info = false;
    labels_done(&d->labels);
    free(steal_ptr(d->inventory));
    free(steal_ptr(d->info_version));
    match_device(s, d);
}

/* A bucket that lost everything is one line, not one for each device. */
static void infos_sweep(struct step *s)
{
    size_t n = 0;

    MAP_EACH(e, &s->w->devices)
    {
        struct device *d = e->value;

        if (!d->has_info || d->info_epoch == s->w->epoch[SOURCE_INFO])
            continue;
        n++;
        info_lost(s, d);
    }
    if (n)
        add_log(s, true, "device-info of %zu devices is gone; the labels of their objects stand in",
                n);
}

static int info_read(const struct event *e, struct device_key *key, struct device_info *ret,
                     struct err **err)
{
    if (key_parse_info(e->key, key, err) < 0)
        return -EINVAL;
    if (!e->value)
        return 0;
    if (device_info_decode(e->value, e->len, ret, err) < 0)
        return -EINVAL;
    return check_same("device_id", ret->device_id, key->device, err);
}

static void info_seen(struct step *s, const struct event *e)
{
    struct world *w = s->w;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_JSON json_t *inventory = NULL;
    struct device_info info = { 0 };
    struct device_key key = { 0 };
    struct device *d;
    bool other;

    if (info_read(e, &key, &info, &err) < 0) {
        tell_bad(s, e, err);
        /* Its last good word stands. */
        d = map_get(&w->devices, key.device);
        if (d && d->has_info)
            d->info_epoch = w->epoch[SOURCE_INFO];
        device_info_done(&info);
        return;
    }
    forget_bad(s, e);
    if (!e->value) {
        d = map_get(&w->devices, key.device);
        if (d && d->has_info) {
            add_log(s, true, "device %s: its device-info was deleted", d->id);
            info_lost(s, d);
        }
        return;
    }
    d = world_device(w, key.device);
    d->info_epoch = w->epoch[SOURCE_INFO];
    other = !d->has_info || !labels_equal(&d->labels, &info.labels);
    if (!d->has_info && !d->has_object && w->whole[SOURCE_DEVICES])
        add_log(s, false, "device %s is new", d->id);
    d->has_info = true;
    labels_done(&d->labels);
    labels_copy(&d->labels, &info.labels);
    inventory = inventory_encode(&info.inventory);
    free(d->inventory);
    d->inventory = json_text_sorted(inventory);
    replace_str(&d->info_version, info.inventory.agent_version);
    device_info_done(&info);
    device_touch(w, d);
    if (other)
        match_device(s, d);
}

/* --- device-state ------------------------------------------------------------------------- */

static void state_lost(struct step *s, struct cell *c)
{
    c->reported = false;
    free(steal_ptr(c->error));
    cell_refresh(s->w, c);
}

static int state_read(const struct event *e, struct device_key *key, struct deployment_state *ret,
                      struct err **err)
{
    if (key_parse_state(e->key, key, err) < 0)
        return -EINVAL;
    if (!e->value)
        return 0;
    if (deployment_state_decode(e->value, e->len, ret, err) < 0 ||
        check_same("device_id", ret->device_id, key->device, err) < 0)
        return -EINVAL;
    return check_same("deployment", ret->deployment, key->deployment, err);
}

static void state_seen(struct step *s, const struct event *e)
{
    struct world *w = s->w;
    CLEANUP_ERR struct err *err = NULL;
    struct deployment_state state = { 0 };
    struct device_key key = { 0 };
    char cell_key[KEY_MAX];
    struct cell *c = NULL;
    int r = state_read(e, &key, &state, &err);

    if (key.device[0] && key.deployment[0])
        c = map_get(&w->cells, key_desired(cell_key, key.device, key.deployment));
    if (r < 0) {
        tell_bad(s, e, err);
        if (c)
            c->report_epoch = w->epoch[SOURCE_STATE];
        deployment_state_done(&state);
        return;
    }
    forget_bad(s, e);
    if (!e->value) {
        if (c)
            state_lost(s, c);
        return;
    }
    c = world_cell_of(w, key.device, key.deployment);
    c->report_epoch = w->epoch[SOURCE_STATE];
    /* Of one moment (the wire has seconds) the bucket's order decides. */
    if (!c->reported || state.last_event_at_ms >= c->phase_at_ms) {
        if (!c->reported || c->phase != state.phase || !str_eq(c->error, state.last_error)) {
            list_remove(&c->in_failed);
            name_touch(w, c->name);
        }
        c->reported = true;
        c->phase = state.phase;
        c->phase_at_ms = state.last_event_at_ms;
        replace_str(&c->error, state.last_error);
    }
    deployment_state_done(&state);
    cell_refresh(w, c);
}

/* --- device-heartbeat --------------------------------------------------------------------- */

static void note_skew(struct step *s, struct device *d, int64_t skew_ms)
{
    int64_t off = llabs(skew_ms), change = llabs(skew_ms - d->skew_ms);
    /* A clock at the limit must not flap. */
    bool skewed = off > (d->skewed ? SKEW_MAX_MS - 5000 : SKEW_MAX_MS);

    if (skewed == d->skewed && (!skewed || change <= SKEW_MAX_MS))
        return;
    if (skewed != d->skewed &&
        !str_eq(condition_status(d->status, "ClockSkew"), skewed ? "True" : "False"))
        add_log(s, skewed, "device %s: its clock is %s", d->id, skewed ? "off" : "right again");
    d->skewed = skewed;
    d->skew_ms = skew_ms;
    device_touch(s->w, d);
}

static void was_heard(struct step *s, struct device *d, int64_t age_ms)
{
    struct world *w = s->w;
    enum reach before = d->reach;
    bool fresh = !w->listing[SOURCE_HEARTBEAT] || age_ms <= w->unreachable_after_ms;

    if (fresh)
        d->reach = REACH_TRUE;
    else if (before == REACH_UNDECIDED)
        d->reach = REACH_LATE;
    d->since_ms = s->mono_ms;
    list_remove(&d->in_alive);
    if (d->reach != REACH_FALSE)
        list_add(&w->alive, &d->in_alive);
    if (before == d->reach)
        return;
    if (before == REACH_FALSE)
        add_log(s, false, "device %s is reachable again", d->id);
    device_touch(w, d);
}

static void heartbeat_lost(struct step *s, struct device *d)
{
    d->heard = false;
    d->reach = REACH_UNDECIDED;
    free(steal_ptr(d->beat_version));
    list_remove(&d->in_alive);
    device_touch(s->w, d);
    world_drop_device(s->w, d);
}

static int heartbeat_read(const struct event *e, struct device_key *key, struct heartbeat *ret,
                          struct err **err)
{
    if (key_parse_heartbeat(e->key, key, err) < 0)
        return -EINVAL;
    if (!e->value)
        return 0;
    if (heartbeat_decode(e->value, e->len, ret, err) < 0)
        return -EINVAL;
    return check_same("device_id", ret->device_id, key->device, err);
}

static void heartbeat_seen(struct step *s, const struct event *e)
{
    struct world *w = s->w;
    CLEANUP_ERR struct err *err = NULL;
    struct heartbeat beat = { 0 };
    struct device_key key = { 0 };
    struct device *d;

    if (heartbeat_read(e, &key, &beat, &err) < 0) {
        tell_bad(s, e, err);
        heartbeat_done(&beat);
        return;
    }
    forget_bad(s, e);
    d = e->value ? world_device(w, key.device) : map_get(&w->devices, key.device);
    if (!e->value && d)
        heartbeat_lost(s, d);
    /* A list that is made again brings what was heard already. */
    if (e->value && (!d->heard || d->beat_revision != e->revision)) {
        d->heard = true;
        d->beat_revision = e->revision;
        d->beat_stored_ms = e->stored_ms;
        if (beat.agent_version && !str_eq(d->beat_version, beat.agent_version)) {
            replace_str(&d->beat_version, beat.agent_version);
            device_touch(w, d);
        }
        was_heard(s, d, s->wall_ms - e->stored_ms);
        note_skew(s, d, beat.at_ms - e->stored_ms);
    }
    heartbeat_done(&beat);
}

void hearts_check(struct step *s)
{
    struct world *w = s->w;
    struct list_link *first;

    if (!w->bus_up || !w->whole[SOURCE_HEARTBEAT] || w->listing[SOURCE_HEARTBEAT])
        return;
    while ((first = list_first(&w->alive))) {
        struct device *d = LIST_ITEM(first, struct device, in_alive);

        if (d->since_ms + w->unreachable_after_ms > s->mono_ms)
            return;
        list_remove(&d->in_alive);
        d->reach = REACH_FALSE;
        if (!str_eq(condition_status(d->status, "Reachable"), "False"))
            add_log(s, true, "device %s is unreachable", d->id);
        device_touch(w, d);
    }
}

void hearts_forgive(struct step *s)
{
    LIST_EACH(link, &s->w->alive)
    LIST_ITEM(link, struct device, in_alive)->since_ms = s->mono_ms;
}

/* --- all ---------------------------------------------------------------------------------- */

void entry_seen(struct step *s, const struct event *e)
{
    switch (e->source) {
    case SOURCE_DESIRED:
        desired_seen(s, e);
        break;
    case SOURCE_INFO:
        info_seen(s, e);
        break;
    case SOURCE_STATE:
        state_seen(s, e);
        break;
    case SOURCE_HEARTBEAT:
        heartbeat_seen(s, e);
        break;
    default:
        break;
    }
}

/* A heartbeat that is no longer there says nothing: time will tell. */
void entries_sweep(struct step *s, enum source source)
{
    struct world *w = s->w;
    unsigned epoch = w->epoch[source];

    if (source == SOURCE_INFO)
        infos_sweep(s);
    if (source == SOURCE_DESIRED)
        markers_sweep(w);
    if (source != SOURCE_DESIRED && source != SOURCE_STATE)
        return;
    MAP_EACH(e, &w->cells)
    {
        struct cell *c = e->value;

        if (source == SOURCE_STATE && c->reported && c->report_epoch != epoch) {
            state_lost(s, c);
        } else if (source == SOURCE_DESIRED) {
            /* What was acknowledged before the list is in it, or was lost. */
            if (c->flying && c->acked) {
                c->flying = false;
                blob_set(w, &c->sent, NULL);
            }
            if (c->have_epoch != epoch)
                desired_lost(s, c);
            else
                cell_refresh(w, c);
        }
    }
}

void reports_judge(struct step *s)
{
    MAP_EACH(e, &s->w->cells)
    {
        struct cell *c = e->value;

        if (c->reported && !c->matched)
            cell_refresh(s->w, c);
    }
}
