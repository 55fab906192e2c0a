/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/status.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"

/* --- conditions --------------------------------------------------------------------------- */

struct condition {
    const char *type, *status, *reason, *message;
    int64_t generation; /* 0: none */
};

static json_t *find_condition(const json_t *conditions, const char *type)
{
    json_t *item;
    size_t i;

    json_array_foreach(conditions, i, item)
    {
        if (str_eq(json_path_str(item, "type"), type))
            return item;
    }
    return NULL;
}

const char *condition_status(const json_t *status, const char *type)
{
    return json_path_str(find_condition(json_object_get(status, "conditions"), type), "status");
}

const char *condition_message(const json_t *status, const char *type)
{
    return json_path_str(find_condition(json_object_get(status, "conditions"), type), "message");
}

static void set_condition(json_t *conditions, const struct condition *c, int64_t wall_ms)
{
    json_t *item = find_condition(conditions, c->type);
    char now[CLOCK_RFC3339_MAX];

    if (!item) {
        item = json_pack("{s:s}", "type", c->type);
        json_array_append_new(conditions, item);
    }
    if (!str_eq(json_path_str(item, "status"), c->status)) {
        json_object_set_new(item, "status", json_string(c->status));
        json_object_set_new(item, "lastTransitionTime", json_string(clock_rfc3339(wall_ms, now)));
    }
    json_object_set_new(item, "reason", json_string(c->reason));
    json_object_set_new(item, "message", json_string(c->message));
    if (c->generation)
        json_object_set_new(item, "observedGeneration", json_integer(c->generation));
}

static json_t *known_conditions(const json_t *status)
{
    const json_t *known = json_object_get(status, "conditions");

    return json_is_array(known) ? json_deep_copy(known) : json_array();
}

/* Takes over `value`. Adds it to the patch when the status differs. */
static void add_difference(json_t *patch, const json_t *status, const char *key, json_t *value)
{
    if (!json_equal(json_object_get(status, key), value))
        json_object_set(patch, key, value);
    json_decref(value);
}

/* Takes over `patch`. */
static json_t *patch_of(json_t *patch)
{
    if (json_object_size(patch) > 0)
        return json_pack("{s:o}", "status", patch);
    json_decref(patch);
    return NULL;
}

/* --- Deployments -------------------------------------------------------------------------- */

/* NULL when nothing failed. */
static json_t *last_error(const struct name *n)
{
    const struct list_link *last = list_last(&n->failed);
    const struct cell *c = last ? LIST_ITEM(last, struct cell, in_failed) : NULL;
    char at[CLOCK_RFC3339_MAX];

    return c ? json_pack("{s:s, s:s, s:s}", "deviceId", c->device->id, "message",
                         c->error ? c->error : "", "at", clock_rfc3339(c->phase_at_ms, at))
             : NULL;
}

static size_t matched(const struct name *n)
{
    return n->counts[TALLY_PENDING] + n->counts[TALLY_SUCCEEDED] + n->counts[TALLY_FAILED];
}

/* One that does not own its name has no devices. */
static json_t *aggregate(const struct dep *dep, const json_t *known)
{
    const struct name *n = dep->name;
    bool owns = n->owner == dep;
    json_t *value = json_pack("{s:I, s:I, s:I, s:I}", "matchedDeviceCount",
                              (json_int_t)(owns ? matched(n) : 0), "succeeded",
                              (json_int_t)(owns ? n->counts[TALLY_SUCCEEDED] : 0), "failed",
                              (json_int_t)(owns ? n->counts[TALLY_FAILED] : 0), "pending",
                              (json_int_t)(owns ? n->counts[TALLY_PENDING] : 0));
    json_t *error = owns ? last_error(n) : NULL;

    /* In a merge patch null removes; what is not there needs no removing. */
    if (!error && json_object_get(known, "lastError"))
        error = json_null();
    if (error)
        json_object_set_new(value, "lastError", error);
    return value;
}

static char *set_accepted(json_t *conditions, const struct dep *dep, int64_t wall_ms)
{
    struct condition c = { .type = "Accepted",
                           .status = "False",
                           .generation = dep->object.generation };
    CLEANUP_FREE char *message = NULL;

    if (dep->invalid) {
        c.reason = "InvalidSpec";
        message = xasprintf("%s; what runs on devices is left as it is", dep->invalid);
    } else if (dep->name->owner != dep) {
        c.reason = "NameTaken";
        message = xasprintf("deployment %s is older and has the same name on devices",
                            dep->name->owner ? dep->name->owner->key : "?");
    } else {
        c.status = "True";
        c.reason = "Accepted";
        message = xstrdup("");
    }
    c.message = message;
    set_condition(conditions, &c, wall_ms);
    return str_eq(c.status, "True") ? NULL : steal_ptr(message);
}

static void set_ready(json_t *conditions, const struct dep *dep, const char *not_accepted,
                      int64_t wall_ms)
{
    const struct name *n = dep->name;
    size_t all = matched(n), run = n->counts[TALLY_SUCCEEDED], failed = n->counts[TALLY_FAILED];
    struct condition c = { .type = "Ready",
                           .status = "False",
                           .generation = dep->object.generation };
    CLEANUP_FREE char *message = NULL;

    if (not_accepted) {
        c.reason = "NotAccepted";
        message = xstrdup(not_accepted);
    } else if (all == 0) {
        c.reason = "NoDeviceMatches";
        message = xstrdup("targetSelector matches no device");
    } else {
        c.status = run == all ? "True" : "False";
        c.reason = failed ? "DevicesFailed" : run == all ? "AllDevicesRun" : "WaitingForDevices";
        message = xasprintf("%zu of %zu devices run it%s", run, all,
                            failed ? "; see aggregate.lastError" : "");
    }
    c.message = message;
    set_condition(conditions, &c, wall_ms);
}

json_t *status_of_dep(const struct dep *dep, int64_t wall_ms)
{
    const json_t *status = dep->object.status;
    const json_t *known = json_object_get(status, "aggregate");
    json_t *patch = json_object(), *conditions = known_conditions(status);
    CLEANUP_FREE char *not_accepted = set_accepted(conditions, dep, wall_ms);

    set_ready(conditions, dep, not_accepted, wall_ms);
    if (!dep->invalid) {
        add_difference(patch, status, "aggregate", aggregate(dep, known));
    }
    add_difference(patch, status, "observedGeneration", json_integer(dep->object.generation));
    add_difference(patch, status, "conditions", conditions);
    return patch_of(patch);
}

/* --- Devices ------------------------------------------------------------------------------ */

static void set_reachable(json_t *conditions, const struct device *d, int64_t wall_ms)
{
    const json_t *known = find_condition(conditions, "Reachable");
    bool was_true = str_eq(json_path_str(known, "status"), "True");
    CLEANUP_FREE char *message = NULL;
    char at[CLOCK_RFC3339_MAX];

    if (d->reach == REACH_TRUE) {
        set_condition(conditions,
                      &(struct condition){ "Reachable", "True", "HeartbeatsArrive",
                                           "the device sends heartbeats", 0 },
                      wall_ms);
    } else if (d->reach == REACH_FALSE || (d->reach == REACH_LATE && !was_true)) {
        message = d->heard ? xasprintf("the last heartbeat was stored at %s",
                                       clock_rfc3339(d->beat_stored_ms, at))
                           : xstrdup("no heartbeat is stored");
        set_condition(conditions,
                      &(struct condition){ "Reachable", "False", "HeartbeatsMissing", message, 0 },
                      wall_ms);
    } else if (d->reach == REACH_UNDECIDED) {
        set_condition(conditions,
                      &(struct condition){ "Reachable", "Unknown", "NoHeartbeat",
                                           "no heartbeat has come yet", 0 },
                      wall_ms);
    }
}

static void set_clock_skew(json_t *conditions, const struct device *d, int64_t wall_ms)
{
    CLEANUP_FREE char *message = NULL;
    int64_t off_s = (d->skew_ms < 0 ? -d->skew_ms : d->skew_ms) / 1000;

    if (!d->heard)
        return;
    message = d->skewed ? xasprintf("the device's clock is about %jd s %s", (intmax_t)off_s,
                                    d->skew_ms < 0 ? "behind" : "ahead")
                        : xstrdup("the device's clock is right to 30 s");
    set_condition(conditions,
                  &(struct condition){ "ClockSkew", d->skewed ? "True" : "False",
                                       d->skewed ? "ClockIsOff" : "ClockIsRight", message, 0 },
                  wall_ms);
}

json_t *status_of_device(const struct device *d, int64_t wall_ms)
{
    const char *version = d->beat_version ? d->beat_version : d->info_version;
    json_t *patch = json_object(), *conditions = known_conditions(d->status);

    set_reachable(conditions, d, wall_ms);
    set_clock_skew(conditions, d, wall_ms);
    add_difference(patch, d->status, "conditions", conditions);
    if (version)
        add_difference(patch, d->status, "currentVersion", json_string(version));
    return patch_of(patch);
}
