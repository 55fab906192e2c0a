/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/kube.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/kube_internal.h"

#define TOKEN_MAX (64 << 10)
#define TOKEN_REREAD_MS 60000

/* Kubernetes replaces the token of a service account about every hour. One that cannot be read
 * leaves the old one in use: the API server judges it. */
const struct http_peer *kube_peer(struct kube *k)
{
    CLEANUP_FREE char *token = NULL;
    int64_t now = clock_mono_ms();

    if (!k->token_file || (k->peer.bearer && now - k->token_read_ms < TOKEN_REREAD_MS))
        return &k->peer;
    k->token_read_ms = now;
    if (file_read(k->token_file, TOKEN_MAX, &token, NULL, NULL) < 0)
        return &k->peer;
    token[strcspn(token, "\r\n")] = '\0';
    replace_str(&k->peer.bearer, token);
    return &k->peer;
}

void kube_free(struct kube *k)
{
    if (!k)
        return;
    http_peer_done(&k->peer);
    free(k->namespace);
    free(k->token_file);
    free(k);
}

/* --- answers ------------------------------------------------------------------------------ */

static int errno_of(long status, const char *reason)
{
    switch (status) {
    case 400:
    case 422:
        return EINVAL;
    case 401:
        return EPERM;
    case 403:
        return EACCES;
    case 404:
        return ENOENT;
    case 409:
        return str_eq(reason, "AlreadyExists") ? EEXIST : ESTALE;
    case 410:
        return ESTALE;
    case 429:
        return EAGAIN;
    default:
        return status >= 500 && status < 600 ? EAGAIN : EPROTO;
    }
}

int kube_status(const struct http_response *response, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    const char *message = NULL, *reason = NULL;

    if (response->status >= 200 && response->status < 300)
        return 0;
    if (json_parse_wide(response->body, response->len, KUBE_ANSWER_MAX, &object, NULL) == 0) {
        message = json_path_str(object, "message");
        reason = json_path_str(object, "reason");
    }
    if (message && *message)
        return err_new(err, errno_of(response->status, reason), "%s", message);
    return err_new(err, errno_of(response->status, reason), "HTTP status %ld: %.200s",
                   response->status, response->len ? response->body : "no text");
}

int kube_answer(const struct http_response *response, json_t **ret, struct err **err)
{
    int r = kube_status(response, err);

    if (r < 0)
        return r;
    r = json_parse_wide(response->body, response->len, KUBE_ANSWER_MAX, ret, err);
    return r < 0 ? err_wrap(err, "the API server's answer") : 0;
}

/* --- calls -------------------------------------------------------------------------------- */

static struct http_request make_request(const char *method, const char *path,
                                        const char *content_type, const char *body)
{
    return (struct http_request){
        .method = method,
        .path = path,
        .content_type = content_type,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = KUBE_TIMEOUT_MS,
        .max_body = KUBE_ANSWER_MAX,
    };
}

int kube_call(struct kube *k, const char *method, const char *path, const char *content_type,
              const json_t *body, json_t **ret, struct err **err)
{
    CLEANUP_FREE char *text = body ? json_text(body) : NULL, *answer = NULL;
    CLEANUP_JSON json_t *object = NULL;
    struct http_request request = make_request(method, path, content_type, text);
    struct http_response response = { 0 };
    int r;

    r = http_call(kube_peer(k), &request, &response.status, &answer, &response.len, err);
    if (r < 0)
        return r;
    response.body = answer;
    r = kube_answer(&response, &object, err);
    if (r < 0) {
        err_wrap(err, "%s %s", method, path);
        return r;
    }
    if (ret)
        *ret = steal_ptr(object);
    return 0;
}

int kube_apply(struct kube *k, const json_t *object, const char *manager, bool *ret_changed,
               struct err **err)
{
    CLEANUP_JSON json_t *before = NULL, *after = NULL;
    CLEANUP_FREE char *path = NULL, *query = NULL;
    int r;

    r = kube_object_path(k, object, &path, err);
    if (r < 0)
        return r;
    if (ret_changed) {
        r = kube_call(k, "GET", path, NULL, NULL, &before, err);
        if (r < 0 && r != -ENOENT)
            return r;
        if (r < 0 && err) {
            err_free(*err);
            *err = NULL;
        }
    }
    query = xasprintf("%s?fieldManager=%s&force=true", path, manager);
    r = kube_call(k, "PATCH", query, KUBE_APPLY, object, &after, err);
    if (r < 0)
        return r;
    if (ret_changed)
        *ret_changed = !str_eq(json_path_str(before, "metadata.resourceVersion"),
                               json_path_str(after, "metadata.resourceVersion"));
    return 0;
}

struct call {
    void (*done)(const json_t *object, const struct err *failure, void *userdata);
    void *userdata;
};

static void on_answer(const struct http_response *response, const struct err *failure,
                      void *userdata)
{
    const struct call *c = userdata;
    CLEANUP_JSON json_t *object = NULL;
    CLEANUP_ERR struct err *err = NULL;

    if (failure)
        c->done(NULL, failure, c->userdata);
    else if (kube_answer(response, &object, &err) < 0)
        c->done(NULL, err, c->userdata);
    else
        c->done(object, NULL, c->userdata);
}

int kube_start(struct http *h, struct kube *k, const char *method, const char *path,
               const char *content_type, const json_t *body,
               void (*done)(const json_t *object, const struct err *failure, void *userdata),
               void *userdata, struct http_transfer **ret, struct err **err)
{
    CLEANUP_FREE char *text = body ? json_text(body) : NULL;
    CLEANUP_FREE struct call *c = xcalloc(1, sizeof(*c));
    struct http_request request = make_request(method, path, content_type, text);
    int r;

    *c = (struct call){ .done = done, .userdata = userdata };
    request.release = free;
    r = http_start(h, kube_peer(k), &request, on_answer, c, ret, err);
    if (r < 0)
        return r;
    steal_ptr(c);
    return 0;
}

/* --- paths -------------------------------------------------------------------------------- */

static const struct {
    const char *api_version, *kind, *plural;
    bool namespaced;
} kinds[] = {
    { "v1", "Namespace", "namespaces", false },
    { "v1", "ConfigMap", "configmaps", true },
    { "v1", "Secret", "secrets", true },
    { "v1", "Service", "services", true },
    { "v1", "ServiceAccount", "serviceaccounts", true },
    { "v1", "Event", "events", true },
    { "v1", "Pod", "pods", true },
    { "apps/v1", "Deployment", "deployments", true },
    { "apps/v1", "StatefulSet", "statefulsets", true },
    { "coordination.k8s.io/v1", "Lease", "leases", true },
    { "rbac.authorization.k8s.io/v1", "Role", "roles", true },
    { "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true },
    { "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false },
    { "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false },
    { "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false },
    { "fleet.nationtech.io/v1alpha1", "Deployment", "deployments", true },
    { "fleet.nationtech.io/v1alpha1", "Device", "devices", false },
};

/* A name becomes a path segment: nothing that would need escaping there is a valid name. */
static int check_segment(const char *what, const char *name, struct err **err)
{
    if (!name || !*name)
        return err_new(err, EINVAL, "an object without %s", what);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_") !=
                strlen(name) ||
        str_eq(name, ".") || str_eq(name, ".."))
        return err_new(err, EINVAL, "%s \"%s\" is not a valid name", what, name);
    return 0;
}

int kube_object_path(const struct kube *k, const json_t *object, char **ret, struct err **err)
{
    const char *version = json_path_str(object, "apiVersion");
    const char *kind = json_path_str(object, "kind");
    const char *name = json_path_str(object, "metadata.name");
    const char *ns = json_path_str(object, "metadata.namespace");

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *root = version && strchr(version, '/') ? "apis" : "api";

        if (!str_eq(version, kinds[i].api_version) || !str_eq(kind, kinds[i].kind))
            continue;
        if (!ns)
            ns = k->namespace;
        if (check_segment("metadata.name", name, err) < 0 ||
            (kinds[i].namespaced && check_segment("metadata.namespace", ns, err) < 0))
            return -EINVAL;
        if (kinds[i].namespaced)
            *ret = xasprintf("/%s/%s/namespaces/%s/%s/%s", root, version, ns, kinds[i].plural,
                             name);
        else
            *ret = xasprintf("/%s/%s/%s/%s", root, version, kinds[i].plural, name);
        return 0;
    }
    return err_new(err, EINVAL, "objects of kind %s (%s) are not known here", kind ? kind : "?",
                   version ? version : "no apiVersion");
}
