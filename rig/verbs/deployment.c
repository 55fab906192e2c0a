/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Deployments on devices, seen from both ends: what the device reports over the bus (cheap, looked
 * at first) and what podman on it says over SSH.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/device.h"
#include "fleet/wire/names.h"
#include "fleet/wire/score.h"
#include "rig/verbs/containers.h"
#include "rig/verbs/look.h"

static const char *deployment_name(const struct sentence *s)
{
    return sentence_value(s, "DEPLOYMENT");
}

/* --- What the device reports ----------------------------------------------------------------- */

/* The reported state; -ENOENT when there is none. */
static int look_state(struct verb_run *run, const struct sentence *s, const char *device,
                      struct deployment_state *ret, struct err **err)
{
    struct bus_entry entry = { 0 };
    char key[KEY_MAX];
    int r;

    r = look_key(run, BUCKET_DEVICE_STATE, key_state(key, device, deployment_name(s)), &entry, err);
    if (r < 0)
        return r;
    r = deployment_state_decode(entry.value, entry.len, ret, err);
    bus_entry_done(&entry);
    return r;
}

/* Whether it reports `phase`; the sample says what it reports. */
static int look_phase(struct verb_run *run, const struct sentence *s, const char *device,
                      enum phase phase, const char *reason, struct sample *ret, struct err **err)
{
    struct deployment_state state = { 0 };
    bool yes;
    int r = look_state(run, s, device, &state, err);

    if (r == -ENOENT)
        return seen(ret, VERDICT_NO, "no state is reported");
    if (r < 0)
        return r;
    yes = state.phase == phase &&
          (!reason || (state.last_error && strstr(state.last_error, reason)));
    seen(ret, yes ? VERDICT_YES : VERDICT_NO, "reports %s%s%s", phase_text(state.phase),
         state.last_error ? ": " : "", state.last_error ? state.last_error : "");
    deployment_state_done(&state);
    return 0;
}

static int look_failed(struct verb_run *run, const struct sentence *s, const char *device,
                       struct sample *ret, struct err **err)
{
    return look_phase(run, s, device, PHASE_FAILED, NULL, ret, err);
}

static int failed_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                        struct err **err)
{
    return look_at_each(run, s, look_failed, ret, err);
}

static int look_failed_with(struct verb_run *run, const struct sentence *s, const char *device,
                            struct sample *ret, struct err **err)
{
    return look_phase(run, s, device, PHASE_FAILED, sentence_value(s, "TEXT"), ret, err);
}

static int failed_with_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                             struct err **err)
{
    return look_at_each(run, s, look_failed_with, ret, err);
}

/* --- Running --------------------------------------------------------------------------------- */

static bool runs(const struct seen_containers *list, const struct service *service)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->items[i].service, service->name) &&
            str_eq(list->items[i].state, "running"))
            return true;
    return false;
}

/* One running container for each service of the desired score, and none besides. */
static bool runs_all(const struct seen_containers *list, const struct score *score)
{
    for (size_t i = 0; i < score->n_services; i++)
        if (!runs(list, &score->services[i]))
            return false;
    return list->n == score->n_services;
}

/* The score that the device is to run; -ENOENT when it is to run none. */
static int look_score(struct verb_run *run, const struct sentence *s, const char *device,
                      struct score *ret, struct err **err)
{
    struct bus_entry entry = { 0 };
    char key[KEY_MAX];
    int r;

    r = look_key(run, BUCKET_DESIRED_STATE, key_desired(key, device, deployment_name(s)), &entry,
                 err);
    if (r < 0)
        return r;
    r = score_decode(entry.value, entry.len, ret, err);
    bus_entry_done(&entry);
    return r < 0 ? -EINVAL : 0;
}

static int look_running(struct verb_run *run, const struct sentence *s, const char *device,
                        struct sample *ret, struct err **err)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_FREE char *text = NULL;
    struct score score = { 0 };
    bool yes;
    int r;

    if (look_is_off(run, device, ret))
        return 0;
    r = look_phase(run, s, device, PHASE_RUNNING, NULL, ret, err);
    if (r < 0 || ret->verdict != VERDICT_YES)
        return r;
    r = look_score(run, s, device, &score, err);
    if (r == -ENOENT)
        return seen(ret, VERDICT_NO, "reports Running, and no desired state is written for it");
    if (r < 0)
        return r;
    r = containers_look(run, device, deployment_name(s), &list, err);
    yes = r >= 0 && runs_all(&list, &score);
    score_done(&score);
    if (r < 0)
        return r;
    text = containers_text(&list);
    return seen(ret, yes ? VERDICT_YES : VERDICT_NO, "reports Running; podman has %s", text);
}

static int running_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                         struct err **err)
{
    return look_at_each(run, s, look_running, ret, err);
}

/* --- Absent ---------------------------------------------------------------------------------- */

/* 1 when the key has a value, 0 when not. */
static int has_key(struct verb_run *run, const char *bucket, const char *key, struct err **err)
{
    CLEANUP_ERR struct err *trouble = NULL;
    struct bus_entry entry = { 0 };
    int r = look_key(run, bucket, key, &entry, &trouble);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return err_new(err, -r, "%s", err_text(trouble));
    bus_entry_done(&entry);
    return 1;
}

static int look_absent(struct verb_run *run, const struct sentence *s, const char *device,
                       struct sample *ret, struct err **err)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_FREE char *text = NULL;
    char key[KEY_MAX];
    int r;

    if (look_is_off(run, device, ret))
        return 0;
    r = has_key(run, BUCKET_DESIRED_STATE, key_desired(key, device, deployment_name(s)), err);
    if (r != 0)
        return r < 0 ? r : seen(ret, VERDICT_NO, "desired state is written for it");
    r = has_key(run, BUCKET_DEVICE_STATE, key_state(key, device, deployment_name(s)), err);
    if (r != 0)
        return r < 0 ? r : seen(ret, VERDICT_NO, "it still reports a state");
    r = containers_look(run, device, deployment_name(s), &list, err);
    if (r < 0)
        return r;
    text = containers_text(&list);
    return seen(ret, list.n == 0 ? VERDICT_YES : VERDICT_NO, "podman has %s", text);
}

static int absent_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                        struct err **err)
{
    return look_at_each(run, s, look_absent, ret, err);
}

/* --- Images ---------------------------------------------------------------------------------- */

static int look_image(struct verb_run *run, const struct sentence *s, const char *device,
                      struct sample *ret, struct err **err)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_FREE char *text = NULL;
    bool yes;
    int r;

    if (look_is_off(run, device, ret))
        return 0;
    r = containers_look(run, device, deployment_name(s), &list, err);
    if (r < 0)
        return r;
    yes = list.n > 0;
    for (size_t i = 0; i < list.n; i++)
        yes &= str_eq(list.items[i].image, sentence_value(s, "IMAGE")) &&
               str_eq(list.items[i].state, "running");
    text = containers_text(&list);
    return seen(ret, yes ? VERDICT_YES : VERDICT_NO, "podman has %s", text);
}

static int image_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                       struct err **err)
{
    return look_at_each(run, s, look_image, ret, err);
}

/* --- Recreated, and not ---------------------------------------------------------------------- */

/* What was there when the step began is remembered under the device and deployment: an object of
 * container id to start time. */
static char *memory_key(const struct sentence *s, const char *device)
{
    return xasprintf("containers of %s on %s", deployment_name(s), device);
}

static json_t *ids_of(const struct seen_containers *list)
{
    json_t *ids = json_object();

    for (size_t i = 0; i < list->n; i++)
        json_object_set_new(ids, list->items[i].id, json_integer(list->items[i].started));
    return ids;
}

static int remember(struct verb_run *run, const struct sentence *s, struct err **err)
{
    for (char *const *d = sentence_values(s, "DEVICE"); *d; d++) {
        CLEANUP_CONTAINERS struct seen_containers list = { 0 };
        CLEANUP_FREE char *key = memory_key(s, *d);
        int r = containers_look(run, *d, deployment_name(s), &list, err);

        if (r < 0)
            return err_wrap(err, "%s", *d);
        json_object_set_new(run->memory, key, ids_of(&list));
    }
    return 0;
}

/* What podman had when the step began and what it has now, which the sample tells. 1 when there is
 * something to compare; 0 when there is not, and the sample says why. */
static int look_back(struct verb_run *run, const struct sentence *s, const char *device,
                     const json_t **ret_then, json_t **ret_now, struct sample *ret,
                     struct err **err)
{
    CLEANUP_CONTAINERS struct seen_containers list = { 0 };
    CLEANUP_FREE char *key = memory_key(s, device), *text = NULL;
    const json_t *then = json_object_get(run->memory, key);
    int r;

    if (look_is_off(run, device, ret))
        return 0;
    r = containers_look(run, device, deployment_name(s), &list, err);
    if (r < 0)
        return r;
    if (json_object_size(then) == 0)
        return seen(ret, VERDICT_NEVER, "there was no container when the step began");
    text = containers_text(&list);
    *ret_then = then;
    *ret_now = ids_of(&list);
    seen(ret, VERDICT_NO, "podman has %s", text);
    return 1;
}

static int look_recreated(struct verb_run *run, const struct sentence *s, const char *device,
                          struct sample *ret, struct err **err)
{
    CLEANUP_JSON json_t *now = NULL;
    const json_t *then = NULL;
    const char *id;
    json_t *started;
    int r = look_back(run, s, device, &then, &now, ret, err);

    if (r <= 0)
        return r;
    ret->verdict = json_object_size(now) > 0 ? VERDICT_YES : VERDICT_NO;
    json_object_foreach(now, id, started)
    {
        if (json_object_get(then, id))
            ret->verdict = VERDICT_NO;
    }
    return 0;
}

static int look_not_recreated(struct verb_run *run, const struct sentence *s, const char *device,
                              struct sample *ret, struct err **err)
{
    CLEANUP_JSON json_t *now = NULL;
    const json_t *then = NULL;
    int r = look_back(run, s, device, &then, &now, ret, err);

    if (r > 0)
        ret->verdict = json_equal(then, now) ? VERDICT_YES : VERDICT_NEVER;
    return r < 0 ? r : 0;
}

static int recreated_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    return look_at_each(run, s, look_recreated, ret, err);
}

static int not_recreated_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                               struct err **err)
{
    return look_at_each(run, s, look_not_recreated, ret, err);
}

const struct verb_impl verb_deployment_running = { .check = running_check };
const struct verb_impl verb_deployment_failed = { .check = failed_check };
const struct verb_impl verb_deployment_failed_with = { .check = failed_with_check };
const struct verb_impl verb_deployment_absent = { .check = absent_check };
const struct verb_impl verb_image = { .check = image_check };
const struct verb_impl verb_recreated = { .prepare = remember, .check = recreated_check };
const struct verb_impl verb_not_recreated = { .prepare = remember, .check = not_recreated_check };
