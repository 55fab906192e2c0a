/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. The desired state arrives as a watch of "<device>.>" in desired-state. Each
 * change is stored durably before it is acted on; what is known already, byte for byte, is not even
 * stored again. Before there is a connection the durable copy stands in for it.
 *
 * A deployment ends by a delete marker, which is what the bucket keeps of a deleted key, and which a
 * snapshot brings, too, when the key was deleted while nobody listened. What a snapshot does not hold
 * at all is kept: a bucket that was lost must not stop a workload (docs/adr/0007).
 */

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/agent/act_state.h"
#include "fleet/wire/names.h"

/* Brings the durable copy of `l` up to date. */
static void store(struct agent *a, struct workload *l)
{
    CLEANUP_ERR struct err *failure = NULL;
    int r = l->wanted ? store_want(a->store, l->name, l->bytes, l->len, &failure)
                      : store_unwant(a->store, l->name, &failure);

    if (r < 0 && !str_eq(l->unstored, err_text(failure)))
        log_error("%s: %s; will try again", l->name, err_text(failure));
    replace_str(&l->unstored, r < 0 ? err_text(failure) : NULL);
}

void agent_store_again(struct agent *a)
{
    for (size_t i = 0; i < a->world.n_workloads; i++)
        if (a->world.workloads[i]->unstored)
            store(a, a->world.workloads[i]);
}

static void unwant(struct agent *a, const char *deployment)
{
    if (!world_unwant(&a->world, deployment))
        return;
    log_info("%s: not desired any more", deployment);
    store(a, world_find(&a->world, deployment));
}

static void keep(const char *deployment, void *userdata)
{
    bool *any = userdata;

    log_info("%s: not in the desired state, but nothing says that it was deleted; it is kept",
             deployment);
    *any = true;
}

static void want(struct agent *a, const char *deployment, const char *bytes, size_t len)
{
    struct workload *l;

    if (!world_want(&a->world, deployment, bytes, len))
        return;
    l = world_find(&a->world, deployment);
    log_info("%s: desired state of %zu bytes received", deployment, len);
    store(a, l);
}

/* --- the watch ------------------------------------------------------------------------------ */

static void on_begin(void *userdata)
{
    world_snapshot_begin(&((struct agent *)userdata)->world);
}

static void on_entry(const struct bus_entry *entry, void *userdata)
{
    struct agent *a = userdata;
    CLEANUP_ERR struct err *bad = NULL;
    struct device_key key;

    if (key_parse_desired(entry->key, &key, &bad) < 0) {
        log_warning("skipping %s/%s: %s", BUCKET_DESIRED_STATE, entry->key, err_text(bad));
        return;
    }
    if (!str_eq(key.device, a->settings->device_id)) {
        log_warning("skipping %s/%s: it is not for this device", BUCKET_DESIRED_STATE, entry->key);
        return;
    }
    if (entry->value) {
        want(a, key.deployment, entry->value, entry->len);
        world_saw(&a->world, key.deployment);
    } else {
        unwant(a, key.deployment);
    }
    agent_reconsider(a);
}

static void on_end(void *userdata)
{
    struct agent *a = userdata;
    bool kept = false;

    if (!a->world.knows_all)
        log_info("the desired state is known");
    world_snapshot_end(&a->world, keep, &kept);
    if (kept)
        agent_report_states(a);
    agent_list(a); /* containers of deployments that nobody knows can be told now */
    agent_reconsider(a);
}

static void on_trouble(const struct err *trouble, void *userdata)
{
    (void)userdata;
    log_warning("%s; will try again", err_text(trouble));
}

int agent_watch(struct agent *a, struct err **err)
{
    struct bus_watch_handler handler = { on_begin, on_entry, on_end, on_trouble, a };
    char filter[KEY_MAX];

    return bus_watch_new(a->bus, BUCKET_DESIRED_STATE,
                         key_desired_all(filter, a->settings->device_id), &handler, &a->watch, err);
}

/* --- the durable copy ----------------------------------------------------------------------- */

static void on_found(const char *deployment, bool wanted, const char *bytes, size_t len,
                     void *userdata)
{
    struct agent *a = userdata;

    world_want(&a->world, deployment, bytes, len);
    if (!wanted) /* a removal that was cut short */
        world_unwant(&a->world, deployment);
    log_info("%s: %s, says the stored copy", deployment, wanted ? "desired" : "to be removed");
}

static void on_damaged(const char *path, const struct err *why, void *userdata)
{
    (void)userdata;
    log_error("ignoring %s: %s; its containers are left alone", path, err_text(why));
}

int agent_load(struct agent *a, struct err **err)
{
    struct store_reader reader = { on_found, on_damaged, a };

    if (store_new(a->settings->state_dir, &a->store, err) < 0)
        return -1;
    return store_load(a->store, &reader, err);
}
