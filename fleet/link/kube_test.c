/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/kube.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "fleet/testing/servers.h"
#include "fleet/wire/resource.h"

/* --- kubeconfig --------------------------------------------------------------------------- */

#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u, namespace: n}}]\n"
#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://h:1/'}}]\n"
#define CURRENT "current-context: x\n"

static const struct {
    const char *name, *text, *error;
} configs[] = {
    { "not YAML", "a: [", "reading the kubeconfig" },
    { "not a map", "[a]", "it is not one map" },
    { "no context", CONTEXT, "it names no current-context" },
    { "unknown context", "current-context: y\n" CONTEXT, "contexts: there is none called \"y\"" },
    { "unknown cluster", CURRENT CONTEXT, "clusters: there is none called \"c\"" },
    { "unknown user", CURRENT CONTEXT CLUSTER, "users: there is none called \"u\"" },
    { "no server", CURRENT CONTEXT "clusters: [{name: c, cluster: {}}]\n",
      "cluster \"c\": \"server\" is not an https URL" },
    { "skips verification",
      CURRENT CONTEXT
      "clusters: [{name: c, cluster: {server: 'https://h', insecure-skip-tls-verify: true}}]\n",
      "\"insecure-skip-tls-verify\" is not supported" },
    { "an exec plugin", CURRENT CONTEXT CLUSTER "users: [{name: u, user: {exec: {command: x}}}]\n",
      "user \"u\": \"exec\" is not supported" },
    { "bad base64", CURRENT CONTEXT CLUSTER "users: [{name: u, user: {client-key-data: 'a*b'}}]\n",
      "client-key-data: not base64" },
    { "a certificate without key",
      CURRENT CONTEXT CLUSTER "users: [{name: u, user: {client-certificate-data: YWJj}}]\n",
      "go together" },
    { "an absent file", CURRENT CONTEXT CLUSTER "users: [{name: u, user: {client-key: k}}]\n",
      "client-key: " },
};

static char *write_config(const char *text)
{
    char *path = xasprintf("%s/kubeconfig", check_tmpdir());
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0600, &err), err);
    return path;
}

TEST(a_kubeconfig_that_cannot_be_honoured_says_why)
{
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        CLEANUP_FREE char *path = write_config(configs[i].text);
        CLEANUP_ERR struct err *err = NULL;
        struct kube *k = NULL;

        check_case("%s", configs[i].name);
        check_true(kube_load(path, &k, &err) < 0);
        check_true(k == NULL);
        check_has(err_text(err), configs[i].error);
        check_has(err_text(err), path);
    }
}

TEST(a_kubeconfig_gives_server_credentials_and_namespace)
{
    CLEANUP_FREE char *path = write_config(
            CURRENT CONTEXT CLUSTER
            "users: [{name: u, user: {client-certificate-data: 'Y2VydA==', client-key-data: a2V5,"
            " token: t}}]\n");
    CLEANUP(kube_free) struct kube *k = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(kube_load(path, &k, &err), err);
    check_str(k->peer.base_url, "https://h:1");
    check_str(k->peer.cert_pem, "cert");
    check_str(k->peer.key_pem, "key");
    check_str(k->peer.bearer, "t");
    check_str(k->namespace, "n");
}

/* --- answers and paths -------------------------------------------------------------------- */

static const struct {
    long status;
    const char *body;
    int code;
    const char *text;
} answers[] = {
    { 200, "", 0, NULL },
    { 201, "{}", 0, NULL },
    { 400, "{\"message\":\"bad\"}", EINVAL, "bad" },
    { 401, "{\"message\":\"Unauthorized\"}", EPERM, "Unauthorized" },
    { 403, "{\"message\":\"no\"}", EACCES, "no" },
    { 404, "{\"message\":\"not found\"}", ENOENT, "not found" },
    { 409, "{\"message\":\"x\",\"reason\":\"AlreadyExists\"}", EEXIST, "x" },
    { 409, "{\"message\":\"x\",\"reason\":\"Conflict\"}", ESTALE, "x" },
    { 410, "{\"message\":\"too old\"}", ESTALE, "too old" },
    { 422, "{\"message\":\"invalid\"}", EINVAL, "invalid" },
    { 429, "slow down", EAGAIN, "HTTP status 429: slow down" },
    { 500, "", EAGAIN, "HTTP status 500: no text" },
    { 302, "", EPROTO, "HTTP status 302" },
};

TEST(an_answer_becomes_an_errno_and_the_servers_own_words)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct http_response response = { answers[i].status, answers[i].body,
                                          strlen(answers[i].body) };
        CLEANUP_ERR struct err *err = NULL;

        check_case("%ld", answers[i].status);
        check_int(-kube_status(&response, &err), answers[i].code);
        if (answers[i].code)
            check_has(err_text(err), answers[i].text);
    }
}

static const struct {
    const char *object, *path;
} objects[] = {
    { "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: b}}",
      "/api/v1/namespaces/b/secrets/a" },
    { "{apiVersion: v1, kind: Secret, metadata: {name: a}}", "/api/v1/namespaces/here/secrets/a" },
    { "{apiVersion: v1, kind: Namespace, metadata: {name: a}}", "/api/v1/namespaces/a" },
    { "{apiVersion: fleet.nationtech.io/v1alpha1, kind: Device, metadata: {name: edge-1}}",
      "/apis/fleet.nationtech.io/v1alpha1/devices/edge-1" },
    { "{apiVersion: fleet.nationtech.io/v1alpha1, kind: Deployment, metadata: {name: hello}}",
      "/apis/fleet.nationtech.io/v1alpha1/namespaces/here/deployments/hello" },
    { "{apiVersion: v1, kind: Gizmo, metadata: {name: a}}", NULL },
    { "{apiVersion: v1, kind: Secret, metadata: {}}", NULL },
    { "{apiVersion: v1, kind: Secret, metadata: {name: ../x}}", NULL },
    { "{apiVersion: v1, kind: Secret, metadata: {name: a?x}}", NULL },
    { "{kind: Secret}", NULL },
};

/* The table is YAML flow style for legibility: no quotes to escape. */
static json_t *object_of(const char *text)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    json_t *object = NULL;
    bool word = false;

    for (const char *c = text; *c; c++) {
        bool is_word = !strchr("{}, ", *c) && !(*c == ':' && c[1] == ' ');

        if (is_word != word)
            buf_addc(&b, '"');
        word = is_word;
        buf_addc(&b, *c);
    }
    need_true(json_parse(buf_str(&b), b.len, 4096, &object, NULL) == 0);
    return object;
}

TEST(objects_have_their_path)
{
    struct kube k = { .namespace = (char *)"here" };

    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        CLEANUP_JSON json_t *object = object_of(objects[i].object);
        CLEANUP_FREE char *path = NULL;
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", objects[i].object);
        kube_object_path(&k, object, &path, &err);
        check_str(path, objects[i].path);
        check_true(!path == !!err);
    }
}

/* --- against the real server -------------------------------------------------------------- */

TEST(the_api_server_is_called_by_certificate)
{
    struct servers_kube server = { 0 };
    CLEANUP(kube_free) struct kube *k = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_JSON json_t *crd = crd_devices(), *got = NULL;
    CLEANUP_JSON json_t *device = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", FLEET_API_VERSION,
                                            "kind", "Device", "metadata", "name", "edge-1");
    CLEANUP_FREE char *path = NULL;
    bool changed = false;

    SERVERS_NEED_KUBE();
    need_ok(servers_kube_start(&server, &err), err);
    need_ok(kube_load(server.kubeconfig, &k, &err), err);
    need_ok(kube_object_path(k, device, &path, &err), err);

    check_int(kube_call(k, "GET", path, NULL, NULL, NULL, &err), -ENOENT);
    check_ok(kube_apply(k, crd, "tester", &changed, &err), err);
    check_true(changed);
    /* What it defines is served a moment later. */
    check_within(10000, kube_call(k, "GET", PATH_DEVICES, NULL, NULL, NULL, NULL) == 0);
    check_ok(kube_apply(k, device, "tester", &changed, &err), err);
    check_true(changed);
    check_ok(kube_apply(k, device, "tester", &changed, &err), err);
    check_true(!changed);
    check_int(kube_call(k, "POST", PATH_DEVICES, KUBE_JSON, device, NULL, &err), -EEXIST);
    check_has(err_text(err), "\"edge-1\" already exists");
    check_ok(kube_call(k, "GET", path, NULL, NULL, &got, &err), err);
    check_str(object_name(got), "edge-1");
    check_ok(kube_call(k, "DELETE", path, NULL, NULL, NULL, &err), err);
    check_int(kube_call(k, "GET", path, NULL, NULL, NULL, &err), -ENOENT);

    free(k->peer.cert_pem);
    k->peer.cert_pem = NULL; /* anonymous */
    check_int(kube_call(k, "GET", path, NULL, NULL, NULL, &err), -EACCES);
    free(k->peer.ca_pem);
    k->peer.ca_pem = NULL; /* the system's authorities do not know it */
    check_int(kube_call(k, "GET", path, NULL, NULL, NULL, &err), -EPROTO);
    check_has(err_text(err), "certificate");
    servers_kube_done(&server);
}

CHECK_MAIN()
