/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/control_parts.h"

#define READY_MS 60000
#define PROBE_MS 2000

struct control_plane {
    char *kubeconfig;
    struct kube *kube;
    struct kube_api api;
};

/* The path of a program in KUBEBUILDER_ASSETS, NULL when it has none. The caller frees it. */
static char *asset(const char *name)
{
    const char *dir = getenv("KUBEBUILDER_ASSETS");
    char *path = dir && *dir ? xasprintf("%s/%s", dir, name) : NULL;

    if (path && !file_exists(path)) {
        free(path);
        return NULL;
    }
    return path;
}

static int start_etcd(struct supervisor *s, uint16_t *ret_port, struct err **err)
{
    static const struct service_port ports[] = { { "client", 2379 }, { "peer", 2380 } };
    const char *const args[] = {
        "--data-dir={data}", "--listen-client-urls=http://127.0.0.1:{port:client}",
        "--advertise-client-urls=http://127.0.0.1:{port:client}",
        "--listen-peer-urls=http://127.0.0.1:{port:peer}",
        "--initial-advertise-peer-urls=http://127.0.0.1:{port:peer}",
        "--initial-cluster=default=http://127.0.0.1:{port:peer}", "--log-level=warn",
        /* Syncing takes most of its time and matters only where a scenario takes unsynced data away. */
        supervisor_is_lossy(s, "etcd") ? NULL : "--unsafe-no-fsync", NULL
    };
    const struct service_host *host = supervisor_service_host(s, NULL);
    CLEANUP_FREE char *program = asset("etcd"), *endpoint = NULL;
    struct service_spec etcd = { .name = "etcd",
                                 .program = program ? program : "etcd",
                                 .args = args,
                                 .ports = ports,
                                 .n_ports = ARRAY_LEN(ports),
                                 .durable = true,
                                 .ready = READY_HTTP_OK,
                                 .ready_path = "/health",
                                 .ready_timeout_ms = READY_MS };
    int r;

    if ((r = host->ensure(host->impl, &etcd, NULL, err)) < 0 ||
        (r = host->endpoint(host->impl, "etcd", "client", FOR_SERVERS, &endpoint, err)) < 0)
        return r;
    if (sscanf(strrchr(endpoint, ':'), ":%" SCNu16, ret_port) != 1)
        return err_new(err, EPROTO, "etcd: %s has no port", endpoint);
    return 0;
}

static int is_ready(void *userdata, struct err **err)
{
    struct kube *kube = userdata;
    struct http_request request = {
        .method = "GET", .path = "/readyz", .timeout_ms = PROBE_MS, .max_body = 64 << 10
    };
    CLEANUP_FREE char *body = NULL;
    long status = 0;
    size_t len = 0;
    int r = http_call(&kube->peer, &request, &status, &body, &len, err);

    if (r < 0)
        return r;
    return status == 200 ? 0 : err_new(err, EAGAIN, "/readyz answers %ld: %.200s", status, body);
}

static int start_apiserver(struct supervisor *s, const char *program, const char *pki,
                           uint16_t etcd_port, uint16_t port, struct err **err)
{
    CLEANUP_STRV char **argv = control_apiserver_argv(&(struct apiserver){
            .program = program, .pki = pki, .port = port, .etcd_port = etcd_port });

    return supervisor_start(s, "apiserver", argv, NULL, err);
}

int control_plane_wait(struct supervisor *s, struct control_plane *c, struct err **err)
{
    return supervisor_wait(s, "apiserver", is_ready, c->kube, READY_MS, err);
}

static int start_with(struct supervisor *s, const char *dir, const char *program,
                      struct control_plane *c, struct err **err)
{
    CLEANUP_FREE char *pki = xasprintf("%s/pki", dir), *text = NULL;
    uint16_t etcd_port = 0, port = 0;
    int r;

    if ((r = control_pki_make(pki, err)) < 0 || (r = start_etcd(s, &etcd_port, err)) < 0 ||
        (r = port_free(&port, err)) < 0)
        return r;
    text = control_kubeconfig_text(pki, port);
    c->kubeconfig = xasprintf("%s/kubeconfig", dir);
    if ((r = file_write(c->kubeconfig, text, strlen(text), 0600, err)) < 0 ||
        (r = kube_load(c->kubeconfig, &c->kube, err)) < 0 ||
        (r = start_apiserver(s, program, pki, etcd_port, port, err)) < 0)
        return r;
    c->api = (struct kube_api){ .kube = c->kube, .kubeconfig = c->kubeconfig };
    return control_plane_wait(s, c, err);
}

int control_plane_start(struct supervisor *s, const char *dir, const char *apiserver,
                        struct control_plane **ret, struct err **err)
{
    CLEANUP(control_plane_free) struct control_plane *c = xcalloc(1, sizeof(*c));
    CLEANUP_FREE char *program = apiserver ? xstrdup(apiserver) : asset("kube-apiserver");
    CLEANUP_FREE char *absolute = NULL;
    int r;

    if (!program) {
        err_new(err, ENOENT, "there is no API server: KUBEBUILDER_ASSETS has no kube-apiserver");
        err_hint(err, "set it to the folder of kube-apiserver and etcd, or unset it for our own");
        return -ENOENT;
    }
    if ((r = dir_make(dir, 0755, err)) < 0)
        return r;
    if (!(absolute = realpath(dir, NULL)))
        return err_errno(err, errno, "%s", dir);
    if ((r = start_with(s, absolute, program, c, err)) < 0)
        return r;
    *ret = steal_ptr(c);
    return 0;
}

const struct kube_api *control_plane_api(struct control_plane *c)
{
    return &c->api;
}

const char *control_plane_kubeconfig(const struct control_plane *c)
{
    return c->kubeconfig;
}

void control_plane_free(struct control_plane *c)
{
    if (!c)
        return;
    kube_free(c->kube);
    free(c->kubeconfig);
    free(c);
}
