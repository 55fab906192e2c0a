/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. For each deployment there is at most one write of its state under way; a
 * change meanwhile is sent when that is acknowledged, so that states are coalesced and the last one
 * wins. What could not be written is written at the next connection or tick. A state is built from
 * the workload alone, so that writing it again gives the same bytes. At each connection, and when the
 * desired state turns out to have lost something, all are written again: from them the operator
 * learns what runs here, whatever else was lost. For a day the same is done with deletions: a store that
 * went back in time has states again of what is gone.
 */

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/agent/act_state.h"
#include "fleet/agent/inventory.h"
#include "fleet/wire/device.h"
#include "fleet/wire/names.h"

/* --- states --------------------------------------------------------------------------------- */

#define GONE_MS (24 * 3600 * INT64_C(1000))

struct report {
    struct agent *agent;
    char *deployment;
    bool unsent, sending, deleting;
    bool gone; /* its state was deleted, at `gone_ms` of the monotonic clock */
    int64_t gone_ms;
};

static struct report *report_of(struct agent *a, const char *deployment)
{
    struct report *r = map_get(&a->reports, deployment);

    if (r)
        return r;
    r = xcalloc(1, sizeof(*r));
    r->agent = a;
    r->deployment = xstrdup(deployment);
    map_put(&a->reports, deployment, r);
    return r;
}

static void report_free(struct report *r)
{
    map_remove(&r->agent->reports, r->deployment);
    free(r->deployment);
    free(r);
}

void agent_drop_reports(struct agent *a)
{
    MAP_EACH(e, &a->reports)
    report_free(e->value);
    map_done(&a->reports);
}

static void send_state(struct report *r);

static void on_state_written(const struct err *failure, void *userdata)
{
    struct report *r = userdata;
    struct agent *a = r->agent;

    r->sending = false;
    if (failure) {
        log_warning("%s: %s", r->deployment, err_text(failure));
        r->unsent = true; /* again at the next tick or connection, not at once */
    } else if (r->unsent) {
        send_state(r);
    }
    agent_reconsider(a);
}

static void send_state(struct report *r)
{
    struct agent *a = r->agent;
    const struct workload *l = world_find(&a->world, r->deployment);
    CLEANUP_ERR struct err *failure = NULL;
    CLEANUP_FREE char *text = NULL;
    char key[KEY_MAX], pulse[KEY_MAX];
    struct deployment_state state;

    if (!l || (!l->wanted && !l->orphan) || !l->has_state || r->sending || !bus_connected(a->bus))
        return;
    state = (struct deployment_state){ .device_id = a->settings->device_id,
                                       .deployment = l->name,
                                       .phase = l->phase,
                                       .last_event_at_ms = l->event_ms,
                                       .last_error = l->error };
    text = deployment_state_encode(&state);
    key_state(key, a->settings->device_id, l->name);
    if (bus_write(a->bus, BUCKET_DEVICE_STATE, key, text, strlen(text), on_state_written, r,
                  &failure) < 0) {
        log_warning("%s: %s", l->name, err_text(failure));
        return;
    }
    r->unsent = false;
    r->sending = true;
    bus_publish(a->bus, subject_pulse(pulse, a->settings->device_id), text, strlen(text), NULL);
}

void agent_report_state(struct agent *a, const struct workload *l)
{
    struct report *r = report_of(a, l->name);

    log_line(l->phase == PHASE_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: %s%s%s", l->name,
             phase_text(l->phase), l->error ? ": " : "", l->error ? l->error : "");
    r->gone = false;
    r->unsent = true;
    send_state(r);
}

/* --- the end of a deployment ---------------------------------------------------------------- */

bool agent_report_may_forget(const struct agent *a, const struct workload *l)
{
    const struct report *r = map_get(&a->reports, l->name);

    return bus_connected(a->bus) && !(r && r->sending);
}

static void on_state_deleted(const struct err *failure, void *userdata)
{
    struct report *r = userdata;
    struct agent *a = r->agent;
    struct workload *l = world_find(&a->world, r->deployment);
    CLEANUP_ERR struct err *err = NULL;

    r->sending = r->deleting = false;
    if (!l)
        return;
    if (l->wanted) { /* again, meanwhile */
        agent_action_ended(a, l, OUTCOME_DONE, NULL);
        l->has_state = false;
    } else if (failure) {
        agent_action_ended(a, l, OUTCOME_FAILED, failure);
    } else if (store_forget(a->store, l->name, &err) < 0) {
        agent_action_ended(a, l, OUTCOME_FAILED, err);
    } else {
        log_info("%s: gone", l->name);
        world_forget(&a->world, l->name);
        r->gone = true;
        r->gone_ms = clock_mono_ms();
    }
    agent_reconsider(a);
}

void agent_report_forget(struct agent *a, struct workload *l)
{
    struct report *r = report_of(a, l->name);
    CLEANUP_ERR struct err *failure = NULL;
    char key[KEY_MAX];

    r->unsent = false;
    if (bus_write(a->bus, BUCKET_DEVICE_STATE, key_state(key, a->settings->device_id, l->name),
                  NULL, 0, on_state_deleted, r, &failure) < 0)
        agent_action_ended(a, l, OUTCOME_FAILED, failure);
    else
        r->sending = r->deleting = true;
}

/* Nobody waits for it: what failed is tried at the next connection. */
static void on_gone_again(const struct err *failure, void *userdata)
{
    struct report *r = userdata;

    (void)failure;
    r->sending = false;
    if (r->unsent)
        send_state(r);
    agent_reconsider(r->agent);
}

static bool long_gone(const struct report *r)
{
    return r->gone && !r->sending && clock_mono_ms() - r->gone_ms > GONE_MS;
}

/* Deletes the state once more. */
static void send_gone(struct report *r)
{
    struct agent *a = r->agent;
    char key[KEY_MAX];

    if (r->sending || !bus_connected(a->bus))
        return;
    key_state(key, a->settings->device_id, r->deployment);
    r->sending = bus_write(a->bus, BUCKET_DEVICE_STATE, key, NULL, 0, on_gone_again, r, NULL) >= 0;
}

/* --- the device ----------------------------------------------------------------------------- */

/* DeviceInfo with `updated_at_ms` 0, for comparing. */
static void read_info(const struct agent *a, struct device_info *ret)
{
    ret->device_id = xstrdup(a->settings->device_id);
    labels_copy(&ret->labels, &a->labels);
    inventory_read(&ret->inventory);
}

static void on_info_written(const struct err *failure, void *userdata)
{
    struct agent *a = userdata;

    if (!failure)
        return;
    log_warning("%s", err_text(failure));
    a->info_unsent = true;
}

/* Sends DeviceInfo when it changed, or `always`. */
static void report_info(struct agent *a, bool always)
{
    __attribute__((cleanup(device_info_done))) struct device_info info = { 0 };
    CLEANUP_FREE char *bare = NULL, *text = NULL;
    CLEANUP_ERR struct err *failure = NULL;
    char key[KEY_MAX];
    bool changed;

    read_info(a, &info);
    bare = device_info_encode(&info);
    changed = !str_eq(bare, a->info);
    if (changed) {
        replace_str(&a->info, bare);
        a->info_ms = clock_wall_ms();
    }
    if ((!changed && !always && !a->info_unsent) || !bus_connected(a->bus)) {
        a->info_unsent |= changed;
        return;
    }
    info.updated_at_ms = a->info_ms;
    text = device_info_encode(&info);
    a->info_unsent = false;
    if (bus_write(a->bus, BUCKET_DEVICE_INFO, key_info(key, a->settings->device_id), text,
                  strlen(text), on_info_written, a, &failure) < 0)
        on_info_written(failure, a);
}

static void on_heartbeat_written(const struct err *failure, void *userdata)
{
    struct agent *a = userdata;

    if (failure && !a->heartbeat_failed)
        log_warning("%s", err_text(failure));
    a->heartbeat_failed = failure != NULL;
}

void agent_report_heartbeat(struct agent *a)
{
    struct heartbeat hb = { .device_id = a->settings->device_id,
                            .at_ms = clock_wall_ms(),
                            .agent_version = (char *)FLEETRIG_VERSION };
    CLEANUP_FREE char *text = heartbeat_encode(&hb);
    CLEANUP_ERR struct err *failure = NULL;
    char key[KEY_MAX];

    if (!bus_connected(a->bus))
        return;
    if (bus_write(a->bus, BUCKET_DEVICE_HEARTBEAT, key_heartbeat(key, a->settings->device_id), text,
                  strlen(text), on_heartbeat_written, a, &failure) < 0)
        on_heartbeat_written(failure, a);
    bus_publish(a->bus, subject_pulse(key, a->settings->device_id), text, strlen(text), NULL);
}

void agent_report_states(struct agent *a)
{
    MAP_EACH(e, &a->reports)
    {
        struct report *r = e->value;

        if (r->gone) {
            send_gone(r);
            continue;
        }
        r->unsent = !r->deleting;
        send_state(r);
    }
}

void agent_report_connected(struct agent *a)
{
    report_info(a, /* always= */ true);
    agent_report_heartbeat(a);
    agent_report_states(a);
}

void agent_report_again(struct agent *a)
{
    report_info(a, /* always= */ false);
    MAP_EACH(e, &a->reports)
    {
        struct report *r = e->value;

        if (r->unsent)
            send_state(r);
        else if (long_gone(r))
            report_free(r);
    }
}
