/* SPDX-License-Identifier: AGPL-3.0-only */

/* The Kubernetes API, as a person with kubectl uses it. */

#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "fleet/wire/resource.h"
#include "rig/verbs/look.h"

#define FIELD_MANAGER "rig"

static int apply_one(struct verb_run *run, const struct manifest *m, char note[static SAMPLE_MAX],
                     struct err **err)
{
    const char *kind = json_path_str(m->object, "kind");
    const char *name = json_path_str(m->object, "metadata.name");
    size_t len = strlen(note);
    bool changed = false;
    int r;

    r = kube_apply(lab_kube(run->lab), m->object, FIELD_MANAGER, &changed, err);
    if (r < 0)
        return err_wrap(err, "applying %s %s", kind, name);
    snprintf(note + len, SAMPLE_MAX - len, "%s%s %s %s", len ? ", " : "", kind, name,
             changed ? "changed" : "unchanged");
    return 0;
}

static int apply_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                     struct err **err)
{
    const char *path = sentence_value(s, "FILE");

    for (size_t i = 0; i < run->scenario->n_manifests; i++) {
        const struct manifest *m = &run->scenario->manifests[i];

        if (str_eq(m->path, path) && apply_one(run, m, note, err) < 0)
            return err_wrap(err, "%s", path);
    }
    return 0;
}

/* The Deployment that a sentence names, as its manifest has it. One that a running fleet has from
 * elsewhere is in the default namespace. New reference. */
static json_t *deployment_of(struct verb_run *run, const struct sentence *s)
{
    const char *name = sentence_value(s, "DEPLOYMENT");
    const struct manifest *m = scenario_deployment(run->scenario, name);

    if (m)
        return json_incref(m->object);
    return json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", FLEET_API_VERSION, "kind", "Deployment",
                     "metadata", "name", name);
}

/* Its object as the API server has it now; -ENOENT when there is none. New reference. */
static int look_deployment(struct verb_run *run, const struct sentence *s, json_t **ret,
                           struct err **err)
{
    CLEANUP_JSON json_t *like = deployment_of(run, s);

    return look_object(run, like, ret, err);
}

static int delete_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                      struct err **err)
{
    struct kube *kube = lab_kube(run->lab);
    CLEANUP_JSON json_t *deployment = deployment_of(run, s);
    CLEANUP_FREE char *path = NULL;
    int r;

    (void)note;
    r = kube_object_path(kube, deployment, &path, err);
    if (r < 0)
        return r;
    return kube_call(kube, "DELETE", path, NULL, NULL, NULL, err);
}

static int gone_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                      struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    int r = look_deployment(run, s, &object, err);

    if (r == -ENOENT)
        return seen(ret, VERDICT_YES, "there is no such object");
    if (r < 0)
        return r;
    if (json_path(object, "metadata.deletionTimestamp")) {
        seen(ret, VERDICT_NO, "the object is being deleted and still has its finalizer");
        look_without(run, "operator", ret);
        return 0;
    }
    return seen(ret, VERDICT_NO, "the object is there and nobody deletes it");
}

static int aggregate_check(struct verb_run *run, const struct sentence *s, struct sample *ret,
                           struct err **err)
{
    int64_t succeeded = sentence_number(s, "COUNT"), matched = sentence_number(s, "COUNT_2");
    CLEANUP_JSON json_t *object = NULL;
    json_int_t generation, observed;
    const json_t *a;
    bool yes;
    int r = look_deployment(run, s, &object, err);

    if (r == -ENOENT)
        return seen(ret, VERDICT_NO, "there is no such object");
    if (r < 0)
        return r;
    generation = json_path_int(object, "metadata.generation", 0);
    observed = json_path_int(object, "status.observedGeneration", 0);
    a = json_path(object, "status.aggregate");
    if (!a)
        return seen(ret, VERDICT_NO, "the operator has written no aggregate yet");
    yes = observed == generation && json_path_int(a, "succeeded", -1) == succeeded &&
          json_path_int(a, "matchedDeviceCount", -1) == matched;
    seen(ret, yes ? VERDICT_YES : VERDICT_NO,
         "%lld succeeded, %lld failed, %lld pending of %lld matched; "
         "generation %lld, observed %lld",
         (long long)json_path_int(a, "succeeded", -1), (long long)json_path_int(a, "failed", -1),
         (long long)json_path_int(a, "pending", -1),
         (long long)json_path_int(a, "matchedDeviceCount", -1), (long long)generation,
         (long long)observed);
    look_without(run, "operator", ret);
    return 0;
}

const struct verb_impl verb_apply = { .act = apply_act };
const struct verb_impl verb_delete_deployment = { .act = delete_act };
const struct verb_impl verb_deployment_gone = { .check = gone_check };
const struct verb_impl verb_aggregate = { .check = aggregate_check };
