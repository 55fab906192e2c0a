/* SPDX-License-Identifier: AGPL-3.0-only */

/* Devices as a whole: reachability, heartbeats, identity. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"
#include "rig/verbs/look.h"

/* --- Reachable ------------------------------------------------------------------------------- */

static const json_t *condition(const json_t *object, const char *type)
{
    const json_t *conditions = json_path(object, "status.conditions"), *item;
    size_t i;

    json_array_foreach(conditions, i, item)
    {
        if (str_eq(json_path_str(item, "type"), type))
            return item;
    }
    return NULL;
}

/* What the operator says: its Device object's condition Reachable. */
static int look_reachable(struct verb_run *run, const char *device, const char *want,
                          struct sample *ret, struct err **err)
{
    CLEANUP_JSON json_t *like = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", FLEET_API_VERSION,
                                          "kind", "Device", "metadata", "name", device);
    CLEANUP_JSON json_t *object = NULL;
    const json_t *c;
    const char *status, *message;
    int r = look_object(run, like, &object, err);

    if (r == -ENOENT)
        return seen(ret, VERDICT_NO, "there is no Device object");
    if (r < 0)
        return r;
    c = condition(object, "Reachable");
    if (!c)
        return seen(ret, VERDICT_NO, "its Device has no condition Reachable");
    status = json_path_str(c, "status");
    message = json_path_str(c, "message");
    seen(ret, str_eq(status, want) ? VERDICT_YES : VERDICT_NO, "Reachable=%s%s%s",
         status ? status : "?", message ? ": " : "", message ? message : "");
    look_without(run, "operator", ret);
    return 0;
}

static int look_up(struct verb_run *run, const struct sentence *s, const char *device,
                   struct sample *ret, struct err **err)
{
    int r = look_reachable(run, device, "True", ret, err);

    (void)s;
    if (r >= 0 && ret->verdict == VERDICT_NO)
        look_is_off(run, device, ret);
    return r;
}

static int look_down(struct verb_run *run, const struct sentence *s, const char *device,
                     struct sample *ret, struct err **err)
{
    (void)s;
    return look_reachable(run, device, "False", ret, err);
}

static int reachable_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    return look_at_each(run, s, look_up, ret, err);
}

static int unreachable_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                             struct err **err)
{
    return look_at_each(run, s, look_down, ret, err);
}

/* --- Heartbeat ------------------------------------------------------------------------------- */

/* By the time at which the server stored it, on this host's clock, as the fault's: the clock of a
 * device that lost power proves nothing, nor does a heartbeat that was under way. */
static int look_heartbeat(struct verb_run *run, const struct sentence *s, const char *device,
                          struct sample *ret, struct err **err)
{
    char key[KEY_MAX], at[CLOCK_RFC3339_MAX], fault[CLOCK_RFC3339_MAX];
    struct bus_entry entry = { 0 };
    int64_t stored;
    int r;

    (void)s;
    if (run->fault_wall_ms == 0)
        return seen(ret, VERDICT_NEVER, "there was no fault in this run yet");
    r = look_key(run, BUCKET_DEVICE_HEARTBEAT, key_heartbeat(key, device), &entry, err);
    if (r == -ENOENT)
        return seen(ret, VERDICT_NO, "no heartbeat");
    if (r < 0)
        return r;
    stored = entry.stored_ms;
    bus_entry_done(&entry);
    seen(ret, stored > run->fault_wall_ms ? VERDICT_YES : VERDICT_NO,
         "last heartbeat stored %s, %.1f s %s the fault of %s", clock_rfc3339(stored, at),
         (double)llabs(stored - run->fault_wall_ms) / 1000,
         stored > run->fault_wall_ms ? "after" : "before",
         clock_rfc3339(run->fault_wall_ms, fault));
    if (ret->verdict == VERDICT_NO)
        look_is_off(run, device, ret);
    return 0;
}

static int heartbeat_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    return look_at_each(run, s, look_heartbeat, ret, err);
}

/* --- Identity -------------------------------------------------------------------------------- */

/* The host key is pinned: a login to a machine with another one fails. */
static int look_identity(struct verb_run *run, const struct sentence *s, const char *device,
                         struct sample *ret, struct err **err)
{
    const char *first = lab_identity(run->lab, device), *key;
    CLEANUP_FREE char *id = NULL, *now = NULL;
    int r;

    (void)s;
    if (look_is_off(run, device, ret))
        return 0;
    r = on_device(run, device, ARGV("cat", "/etc/machine-id"), LOOK_MS, &id, err);
    if (r < 0)
        return r;
    key = machine_fingerprint(lab_machines(run->lab), device);
    now = xasprintf("machine-id %.*s host key %s", (int)strcspn(id, "\n"), id, key ? key : "?");
    if (str_eq(first, now))
        return seen(ret, VERDICT_YES, "%s", now);
    return seen(ret, VERDICT_NO, "was %s, is %s", first ? first : "not known", now);
}

static int identity_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                          struct err **err)
{
    return look_at_each(run, s, look_identity, ret, err);
}

const struct verb_impl verb_reachable = { .check = reachable_check };
const struct verb_impl verb_unreachable = { .check = unreachable_check };
const struct verb_impl verb_fresh_heartbeat = { .check = heartbeat_check };
const struct verb_impl verb_same_identity = { .check = identity_check };
