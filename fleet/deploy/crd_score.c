/* SPDX-License-Identifier: AGPL-3.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/deploy/outcome.h"
#include "fleet/wire/resource.h"

#define ESTABLISHED_TIMEOUT_MS 30000

struct established {
    struct kube *kube;
    const char *name;
};

static int look_established(void *userdata, struct err **err)
{
    const struct established *e = userdata;
    CLEANUP_JSON json_t *crd = NULL;
    json_t *condition;
    char path[256];
    size_t i;
    int r;

    snprintf(path, sizeof(path), PATH_CRDS "/%s", e->name);
    r = kube_call(e->kube, "GET", path, NULL, NULL, &crd, err);
    if (r < 0)
        return r;
    json_array_foreach(json_path(crd, "status.conditions"), i, condition)
    {
        const char *type = json_path_str(condition, "type");
        const char *status = json_path_str(condition, "status");
        bool accepted = status && strcmp(status, "True") == 0;

        if (!type)
            continue;
        if (strcmp(type, "Established") == 0 && accepted)
            return 1;
        if (strcmp(type, "NamesAccepted") == 0 && status && strcmp(status, "False") == 0)
            return err_new(err, EEXIST, "definition %s: %s", e->name,
                           json_path_str(condition, "message"));
    }
    return err_new(err, EAGAIN, "definition %s is not established", e->name);
}

/* The API server answers 404 for a moment after a definition was established. */
static int look_bad_type_refused(void *userdata, struct err **err)
{
    struct kube *kube = userdata;
    CLEANUP_ERR struct err *why = NULL;
    CLEANUP_JSON json_t *probe = json_pack(
            "{s:s, s:s, s:{s:s}, s:{s:{s:{s:s}}, s:{s:s, s:{}}}}", "apiVersion", FLEET_API_VERSION,
            "kind", "Deployment", "metadata", "name", "fleet-smoke", "spec", "targetSelector",
            "matchLabels", "fleet-smoke", "none", "score", "type", "not an identifier", "data");
    int r = kube_call(kube, "POST",
                      "/apis/" FLEET_API_VERSION "/namespaces/default/deployments?dryRun=All",
                      KUBE_JSON, probe, NULL, &why);

    if (r == -EINVAL)
        return 1;
    if (r == 0)
        return err_new(err, EPROTO, "the API server accepted a score whose type is no identifier");
    return err_new(err, r == -ENOENT ? EAGAIN : -r, "%s", err_text(why));
}

int crd_score_deploy(const struct kube_api *api, struct outcome *ret, struct err **err)
{
    static const char *const names[] = { CRD_DEPLOYMENTS, CRD_DEVICES };
    CLEANUP_JSON json_t *deployments = crd_deployments();
    CLEANUP_JSON json_t *devices = crd_devices();
    bool changed[2] = { false, false };

    if (kube_apply(api->kube, deployments, FLEET_FIELD_MANAGER, &changed[0], err) < 0 ||
        kube_apply(api->kube, devices, FLEET_FIELD_MANAGER, &changed[1], err) < 0)
        return err_wrap(err, "custom resource definitions: applying");
    for (size_t i = 0; i < 2; i++) {
        struct established e = { api->kube, names[i] };

        if (outcome_await(ESTABLISHED_TIMEOUT_MS, look_established, &e, err) < 0)
            return err_wrap(err, "custom resource definitions");
    }
    if (outcome_await(ESTABLISHED_TIMEOUT_MS, look_bad_type_refused, api->kube, err) < 0)
        return err_wrap(err, "custom resource definitions: smoke test");
    outcome_set(ret, changed[0] || changed[1], "%s and %s are established", names[0], names[1]);
    return 0;
}
