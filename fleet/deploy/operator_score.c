/* SPDX-License-Identifier: AGPL-3.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "fleet/deploy/outcome.h"
#include "fleet/wire/resource.h"

#define OPERATOR_READY_MS 10000
#define CANARY_TIMEOUT_MS 30000
#define KUBECONFIG_MAX (64 * 1024)

struct canary {
    struct kube *kube;
    char name[64];
    char path[256];
};

static int look_observed(void *userdata, struct err **err)
{
    const struct canary *c = userdata;
    CLEANUP_JSON json_t *object = NULL;
    int r = kube_call(c->kube, "GET", c->path, NULL, NULL, &object, err);

    if (r < 0)
        return r;
    if (json_path_int(object, "status.observedGeneration", 0) >=
                json_path_int(object, "metadata.generation", 1) &&
        json_path_int(object, "status.aggregate.matchedDeviceCount", -1) == 0)
        return 1;
    return err_new(err, EAGAIN, "the operator has not reported the status of canary %s", c->name);
}

static int look_gone(void *userdata, struct err **err)
{
    const struct canary *c = userdata;
    CLEANUP_ERR struct err *why = NULL;
    int r = kube_call(c->kube, "GET", c->path, NULL, NULL, NULL, &why);

    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return err_new(err, -r, "%s", err_text(why));
    return err_new(err, EAGAIN, "canary %s still holds its finalizer", c->name);
}

static int smoke(const struct kube_api *api, struct err **err)
{
    struct canary c = { .kube = api->kube };

    snprintf(c.name, sizeof(c.name), "fleet-canary-%lld", (long long)clock_wall_ms());
    snprintf(c.path, sizeof(c.path),
             "/apis/" FLEET_API_VERSION "/namespaces/default/deployments/%s", c.name);
    CLEANUP_JSON json_t *object = json_pack(
            "{s:s, s:s, s:{s:s, s:s}, s:{s:{s:{s:s}}, s:{s:s, s:{s:[{s:s, s:s, s:[]}]}}}}",
            "apiVersion", FLEET_API_VERSION, "kind", "Deployment", "metadata", "name", c.name,
            "namespace", "default", "spec", "targetSelector", "matchLabels", "fleet-canary", "none",
            "score", "type", "PodmanV0", "data", "services", "name", "canary", "image",
            "localhost/canary:none", "ports");

    if (kube_apply(api->kube, object, "fleet-smoke", NULL, err) < 0)
        return err_wrap(err, "making canary %s", c.name);
    int r = outcome_await(CANARY_TIMEOUT_MS, look_observed, &c, err);
    CLEANUP_ERR struct err *lost = NULL;
    int d = kube_call(api->kube, "DELETE", c.path, NULL, NULL, NULL, r < 0 ? &lost : err);

    if (r < 0 || d < 0)
        return r < 0 ? r : d;
    return outcome_await(CANARY_TIMEOUT_MS, look_gone, &c, err);
}

int operator_score_deploy(const struct operator_score *score, const struct service_host *host,
                          const struct kube_api *api, struct outcome *ret, struct err **err)
{
    static const char *const args[] = { "--config", "{config}/operator.yml", NULL };
    CLEANUP_FREE char *endpoint = NULL, *settings = NULL, *kubeconfig = NULL, *unreachable = NULL;
    struct service_file files[3];
    size_t n = 0;
    bool changed = false;

    if (host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, err) < 0)
        return err_wrap(err, "operator: NATS must be deployed first");
    if (api->kubeconfig) {
        if (file_read(api->kubeconfig, KUBECONFIG_MAX, &kubeconfig, NULL, err) < 0)
            return err_wrap(err, "operator");
        files[n++] = (struct service_file){ "kubeconfig", kubeconfig, true };
    }
    if (score->unreachable_after_ms)
        unreachable =
                xasprintf("unreachable_after: %lldms\n", (long long)score->unreachable_after_ms);
    settings = xasprintf("%snats:\n  url: \"nats://%s\"\n  user: \"%s\"\n"
                         "  password_file: \"{config}/nats-password\"\n%slog_level: %s\n",
                         kubeconfig ? "kubeconfig: \"{config}/kubeconfig\"\n" : "", endpoint,
                         score->nats_user, unreachable ? unreachable : "",
                         score->log_level ? score->log_level : "info");
    files[n++] = (struct service_file){ "operator.yml", settings, false };
    files[n++] = (struct service_file){ "nats-password", score->nats_password, true };

    struct service_spec spec = {
        .name = "operator",
        .program = score->program,
        .args = args,
        .files = files,
        .n_files = n,
        .ready = READY_RUNNING,
        .ready_timeout_ms = OPERATOR_READY_MS,
    };
    if (host->ensure(host->impl, &spec, &changed, err) < 0)
        return err_wrap(err, "operator");
    if (smoke(api, err) < 0)
        return err_wrap(err, "operator: smoke test");
    outcome_set(ret, changed, "observed and removed a canary Deployment");
    return 0;
}
