/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * What the platform keeps: desired state in its bucket, aggregates in the API. A step that changes
 * nothing is to leave them as they were when it began, and a program that is started anew is to write
 * nothing that is there already.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"
#include "rig/verbs/differ.h"
#include "rig/verbs/look.h"

#define LIST_MS 15000

#define MEMORY_DESIRED "desired state"
#define MEMORY_LAST "last revision of desired state"

/* `unlike` is the verdict when they differ. */
static int seen_as_before(struct sample *ret, const json_t *then, const json_t *now,
                          const char *things, enum verdict unlike)
{
    CLEANUP_BUF struct buf text = BUF_INIT(SAMPLE_MAX);

    if (json_equal(then, now))
        return seen(ret, VERDICT_YES, "%zu %s, all as when the step began", json_object_size(now),
                    things);
    if (!differ(&text, then, now))
        buf_adds(&text, "what servers generate differs");
    return seen(ret, unlike, "%s", buf_str(&text));
}

/* --- Desired state --------------------------------------------------------------------------- */

static int add_entry(struct verb_run *run, const char *key, json_t *all, struct err **err)
{
    struct bus_entry entry = { 0 };
    int r = look_key(run, BUCKET_DESIRED_STATE, key, &entry, err);

    if (r < 0)
        return r;
    json_object_set_new(all, key,
                        json_pack("{s:I, s:s%}", "revision", (json_int_t)entry.revision, "value",
                                  entry.value, entry.len));
    bus_entry_done(&entry);
    return 0;
}

/* Every key with its revision and bytes. */
static int look_desired(struct verb_run *run, json_t **ret, struct err **err)
{
    CLEANUP_JSON json_t *all = json_object();
    CLEANUP_STRV char **keys = NULL;
    int r = bus_keys(lab_bus(run->lab), BUCKET_DESIRED_STATE, ">", LIST_MS, &keys, err);

    for (size_t i = 0; r >= 0 && keys && keys[i]; i++)
        r = add_entry(run, keys[i], all, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(all);
    return 0;
}

static int remember_desired(struct verb_run *run, const struct sentence *s, struct err **err)
{
    json_t *all = NULL;
    int r = look_desired(run, &all, err);

    (void)s;
    if (r >= 0)
        json_object_set_new(run->memory, MEMORY_DESIRED, all);
    return r;
}

static int desired_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                         struct err **err)
{
    CLEANUP_JSON json_t *now = NULL;
    int r = look_desired(run, &now, err);

    (void)s;
    return r < 0 ? r
                 : seen_as_before(ret, json_object_get(run->memory, MEMORY_DESIRED), now, "keys",
                                  VERDICT_NO);
}

static int remember_last(struct verb_run *run, const struct sentence *s, struct err **err)
{
    uint64_t last = 0;
    int r = bus_last_revision(lab_bus(run->lab), BUCKET_DESIRED_STATE, LOOK_MS, &last, err);

    (void)s;
    if (r >= 0)
        json_object_set_new(run->memory, MEMORY_LAST, json_integer((json_int_t)last));
    return r;
}

/* Revisions only grow: what was written stays so. */
static int unwritten_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    json_int_t then = json_integer_value(json_object_get(run->memory, MEMORY_LAST));
    uint64_t last = 0;
    int r = bus_last_revision(lab_bus(run->lab), BUCKET_DESIRED_STATE, LOOK_MS, &last, err);

    (void)s;
    if (r < 0)
        return r;
    return seen(ret, (json_int_t)last == then ? VERDICT_YES : VERDICT_NEVER,
                "last revision %" PRIu64 ", when the step began %" JSON_INTEGER_FORMAT, last, then);
}

/* --- Deployments ----------------------------------------------------------------------------- */

/* Of each Deployment what `part` takes of it. */
static int look_deployments(struct verb_run *run, json_t *(*part)(const json_t *object),
                            json_t **ret, struct err **err)
{
    CLEANUP_JSON json_t *list = NULL;
    json_t *all = json_object(), *item;
    size_t i;
    int r = kube_call(lab_kube(run->lab), "GET", PATH_DEPLOYMENTS, NULL, NULL, &list, err);

    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        json_object_set_new(all, object_name(item), part(item));
    }
    if (r < 0)
        json_decref(all);
    else
        *ret = all;
    return r;
}

static json_t *aggregate_of(const json_t *object)
{
    return json_pack("{s:O?, s:I}", "aggregate", json_path(object, "status.aggregate"), "observed",
                     json_path_int(object, "status.observedGeneration", 0));
}

static json_t *version_of(const json_t *object)
{
    return json_string(json_path_str(object, "metadata.resourceVersion"));
}

static int remember_deployments(struct verb_run *run, const char *key,
                                json_t *(*part)(const json_t *object), struct err **err)
{
    json_t *all = NULL;
    int r = look_deployments(run, part, &all, err);

    if (r >= 0)
        json_object_set_new(run->memory, key, all);
    return r;
}

static int remember_aggregates(struct verb_run *run, const struct sentence *s, struct err **err)
{
    (void)s;
    return remember_deployments(run, "aggregates", aggregate_of, err);
}

static int aggregates_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                            struct err **err)
{
    CLEANUP_JSON json_t *now = NULL;
    int r = look_deployments(run, aggregate_of, &now, err);

    (void)s;
    return r < 0 ? r
                 : seen_as_before(ret, json_object_get(run->memory, "aggregates"), now,
                                  "aggregates", VERDICT_NO);
}

static int remember_versions(struct verb_run *run, const struct sentence *s, struct err **err)
{
    (void)s;
    return remember_deployments(run, "versions of deployments", version_of, err);
}

static int deployments_unwritten_check(struct verb_run *run, const struct sentence *s,
                                       struct sample *ret, struct err **err)
{
    CLEANUP_JSON json_t *now = NULL;
    int r = look_deployments(run, version_of, &now, err);

    (void)s;
    return r < 0 ? r
                 : seen_as_before(ret, json_object_get(run->memory, "versions of deployments"), now,
                                  "deployments", VERDICT_NEVER);
}

/* --- Consumers ------------------------------------------------------------------------------- */

static int look_consumers(struct verb_run *run, const struct sentence *s, const char *device,
                          struct sample *ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_STRV char **names = NULL;
    char filter[KEY_MAX];
    int64_t wanted = sentence_number(s, "COUNT");
    int r = bus_followers(lab_bus(run->lab), BUCKET_DESIRED_STATE, key_desired_all(filter, device),
                          LOOK_MS, &names, err);

    if (r < 0)
        return r;
    text = strv_join(names, " ");
    return seen(ret, (int64_t)strv_len(names) == wanted ? VERDICT_YES : VERDICT_NO, "%zu: %s",
                strv_len(names), text);
}

static int consumers_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    return look_at_each(run, s, look_consumers, ret, err);
}

const struct verb_impl verb_desired_as_before = { .prepare = remember_desired,
                                                  .check = desired_check };
const struct verb_impl verb_desired_unwritten = { .prepare = remember_last,
                                                  .check = unwritten_check };
const struct verb_impl verb_aggregates_as_before = { .prepare = remember_aggregates,
                                                     .check = aggregates_check };
const struct verb_impl verb_deployments_unwritten = { .prepare = remember_versions,
                                                      .check = deployments_unwritten_check };
const struct verb_impl verb_consumers = { .check = consumers_check };
