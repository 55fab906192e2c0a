/* SPDX-License-Identifier: AGPL-3.0-only */

/* Where the API server is and who we are: a kubeconfig file
 * (kubernetes.io/docs/reference/config-api/kubeconfig.v1) or a pod's service account. Paths in a
 * kubeconfig are relative to its folder. What we cannot honour (exec plugins, skipped verification,
 * ...) is an error: silently doing something else would be worse. */

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "base/yaml.h"
#include "fleet/link/kube_internal.h"

#define FILE_MAX (1 << 20)
#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* --- base64 ------------------------------------------------------------------------------- */

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Text in base64 (RFC 4648, white space allowed) to text. */
static int base64_decode(const char *s, char **ret, struct err **err)
{
    CLEANUP_FREE char *out = xmalloc(strlen(s) / 4 * 3 + 4);
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;

    for (; *s && *s != '='; s++) {
        int value = base64_value(*s);

        if (strchr(" \t\r\n", *s))
            continue;
        if (value < 0)
            return err_new(err, EINVAL, "not base64");
        bits = (bits << 6 | (unsigned)value) & 0xffffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits & 0xff);
        }
    }
    if (s[strspn(s, "= \t\r\n")])
        return err_new(err, EINVAL, "not base64");
    out[n] = '\0';
    if (strlen(out) != n)
        return err_new(err, EINVAL, "not text");
    *ret = steal_ptr(out);
    return 0;
}

/* --- kubeconfig --------------------------------------------------------------------------- */

/* The entry of list `kind` ("clusters") that is called `name`; in it, the object `member`. */
static int find_named(const json_t *config, const char *kind, const char *name, const char *member,
                      const json_t **ret, struct err **err)
{
    json_t *list = json_object_get(config, kind), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        json_t *found = json_object_get(item, member);

        if (!str_eq(json_path_str(item, "name"), name))
            continue;
        if (!json_is_object(found))
            return err_new(err, EINVAL, "%s: \"%s\" has no %s", kind, name, member);
        *ret = found;
        return 0;
    }
    return err_new(err, ENOENT, "%s: there is none called \"%s\"", kind, name);
}

/* `folder` with its trailing slash, "" for none. */
static char *resolve(const char *folder, const char *path)
{
    return *path == '/' ? xstrdup(path) : xasprintf("%s%s", folder, path);
}

/* "certificate-authority-data" inline, else "certificate-authority" as a path. */
static int read_pem(const json_t *from, const char *key, const char *folder, char **ret,
                    struct err **err)
{
    CLEANUP_FREE char *data_key = xasprintf("%s-data", key);
    const char *inline_data = json_path_str(from, data_key), *path = json_path_str(from, key);
    CLEANUP_FREE char *full = NULL;
    int r;

    if (inline_data && *inline_data) {
        r = base64_decode(inline_data, ret, err);
        return r < 0 ? err_wrap(err, "%s", data_key) : 0;
    }
    if (!path || !*path)
        return 0;
    full = resolve(folder, path);
    r = file_read(full, FILE_MAX, ret, NULL, err);
    return r < 0 ? err_wrap(err, "%s", key) : 0;
}

static int refuse(const json_t *from, const char *const *keys, struct err **err)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(from, *keys);

        if (value && !json_is_false(value) && !json_is_null(value))
            return err_new(err, ENOTSUP, "\"%s\" is not supported", *keys);
    }
    return 0;
}

static int read_cluster(const json_t *cluster, const char *folder, struct kube *k, struct err **err)
{
    static const char *const unsupported[] = { "insecure-skip-tls-verify", "tls-server-name",
                                               "proxy-url", NULL };
    const char *server = json_path_str(cluster, "server");

    if (!server || (!str_starts(server, "https://") && !str_starts(server, "http://")))
        return err_new(err, EINVAL, "\"server\" is not an https URL");
    k->peer.base_url = xstrdup(server);
    for (size_t n = strlen(server); n && server[n - 1] == '/'; n--)
        k->peer.base_url[n - 1] = '\0';
    if (refuse(cluster, unsupported, err) < 0)
        return -ENOTSUP;
    return read_pem(cluster, "certificate-authority", folder, &k->peer.ca_pem, err);
}

static int read_user(const json_t *user, const char *folder, struct kube *k, struct err **err)
{
    static const char *const unsupported[] = { "exec", "auth-provider", "username", "password",
                                               "as",   "as-groups",     NULL };
    const char *token = json_path_str(user, "token");
    const char *token_file = json_path_str(user, "tokenFile");
    int r;

    r = refuse(user, unsupported, err);
    if (r < 0)
        return r;
    r = read_pem(user, "client-certificate", folder, &k->peer.cert_pem, err);
    if (r < 0)
        return r;
    r = read_pem(user, "client-key", folder, &k->peer.key_pem, err);
    if (r < 0)
        return r;
    if (!k->peer.cert_pem != !k->peer.key_pem)
        return err_new(err, EINVAL, "client-certificate and client-key go together");
    if (token_file && *token_file)
        k->token_file = resolve(folder, token_file);
    else if (token && *token)
        k->peer.bearer = xstrdup(token);
    return 0;
}

static int read_config(const json_t *config, const char *folder, struct kube *k, struct err **err)
{
    const char *name = json_path_str(config, "current-context"), *part;
    const json_t *context, *cluster, *user;
    int r;

    if (!name || !*name)
        return err_new(err, EINVAL, "it names no current-context");
    r = find_named(config, "contexts", name, "context", &context, err);
    if (r < 0)
        return r;
    part = json_path_str(context, "cluster");
    r = find_named(config, "clusters", part ? part : "", "cluster", &cluster, err);
    if (r < 0)
        return r;
    r = read_cluster(cluster, folder, k, err);
    if (r < 0) {
        err_wrap(err, "cluster \"%s\"", part);
        return r;
    }
    part = json_path_str(context, "user");
    if (part && *part) {
        r = find_named(config, "users", part, "user", &user, err);
        if (r < 0)
            return r;
        r = read_user(user, folder, k, err);
        if (r < 0) {
            err_wrap(err, "user \"%s\"", part);
            return r;
        }
    }
    part = json_path_str(context, "namespace");
    k->namespace = xstrdup(part && *part ? part : "default");
    return 0;
}

static int parse_config(const char *path, const char *text, size_t len, json_t **ret,
                        struct err **err)
{
    struct yaml_node **documents = NULL;
    size_t n = 0;
    int r;

    r = yaml_parse(path, text, len, &documents, &n, err);
    if (r < 0)
        return r;
    if (n == 1 && documents[0]->kind == YAML_MAP)
        *ret = yaml_to_json(documents[0]);
    else
        r = err_new(err, EINVAL, "%s: it is not one map", path);
    yaml_free_all(documents, n);
    return r;
}

int kube_load(const char *kubeconfig, struct kube **ret, struct err **err)
{
    CLEANUP(kube_free) struct kube *k = xcalloc(1, sizeof(*k));
    CLEANUP_FREE char *text = NULL, *folder = NULL;
    CLEANUP_JSON json_t *config = NULL;
    const char *slash = strrchr(kubeconfig, '/');
    size_t len;
    int r;

    r = file_read(kubeconfig, FILE_MAX, &text, &len, err);
    if (r >= 0)
        r = parse_config(kubeconfig, text, len, &config, err);
    if (r < 0) {
        err_wrap(err, "reading the kubeconfig");
        return r;
    }
    folder = slash ? xstrndup(kubeconfig, (size_t)(slash - kubeconfig) + 1) : xstrdup("");
    r = read_config(config, folder, k, err);
    if (r < 0) {
        err_wrap(err, "kubeconfig %s", kubeconfig);
        return r;
    }
    *ret = steal_ptr(k);
    return 0;
}

int kube_in_cluster(struct kube **ret, struct err **err)
{
    CLEANUP(kube_free) struct kube *k = xcalloc(1, sizeof(*k));
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool v6 = host && strchr(host, ':');
    int r;

    if (!host || !port) {
        r = err_new(err, ENOENT,
                    "this is not a pod: KUBERNETES_SERVICE_HOST and _PORT are not set");
        err_hint(err, "outside of a cluster, name a kubeconfig file in the settings");
        return r;
    }
    k->peer.base_url = xasprintf("https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    r = file_read(ACCOUNT "/ca.crt", FILE_MAX, &k->peer.ca_pem, NULL, err);
    if (r >= 0)
        r = file_read(ACCOUNT "/namespace", 1024, &k->namespace, NULL, err);
    if (r < 0) {
        err_wrap(err, "reading the pod's service account");
        return r;
    }
    k->namespace[strcspn(k->namespace, "\r\n")] = '\0';
    k->token_file = xstrdup(ACCOUNT "/token");
    *ret = steal_ptr(k);
    return 0;
}
