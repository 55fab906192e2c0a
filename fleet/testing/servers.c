/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/testing/servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/kube.h"

#define READY_MS 30000
#define STOP_MS 10000

/* --- finding and running ------------------------------------------------------------------ */

/* Of several artefacts, the one that was looked up last. NULL when there is none. */
static char *find_artefact(const char *artefact, const char *program)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    CLEANUP_FREE char *folder = NULL, *pattern = NULL;
    time_t newest = 0;
    char *found = NULL;
    glob_t hits;

    folder = cache && *cache ? xstrdup(cache) : xasprintf("%s/.cache", home ? home : "");
    pattern = xasprintf("%s/fleetrig/%s/*/bin/%s", folder, artefact, program);
    if (glob(pattern, 0, NULL, &hits) != 0)
        return NULL;
    for (size_t i = 0; i < hits.gl_pathc; i++) {
        CLEANUP_FREE char *dir = xstrdup(hits.gl_pathv[i]);
        struct stat st;

        dir[strlen(dir) - strlen(program) - strlen("/bin/")] = '\0';
        if (access(hits.gl_pathv[i], X_OK) == 0 && stat(dir, &st) == 0 && st.st_mtime > newest) {
            newest = st.st_mtime;
            replace_str(&found, hits.gl_pathv[i]);
        }
    }
    globfree(&hits);
    return found;
}

static char *find_in_path(const char *program)
{
    const char *path = getenv("PATH");
    CLEANUP_FREE char *all = xasprintf("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    CLEANUP_STRV char **dirs = strv_split(all, ":");

    for (size_t i = 0; dirs[i]; i++) {
        CLEANUP_FREE char *file = xasprintf("%s/%s", dirs[i], program);

        if (access(file, X_OK) == 0)
            return steal_ptr(file);
    }
    return NULL;
}

/* Freed by nobody: there are three. */
static const char *find(const char *artefact, const char *program)
{
    char *found = find_artefact(artefact, program);

    return found ? found : find_in_path(program);
}

static const char *nats_binary(void)
{
    static const char *path;

    return path ? path : (path = find("nats", "nats-server"));
}

static const char *etcd_binary(void)
{
    static const char *path;

    return path ? path : (path = find("etcd", "etcd"));
}

static const char *api_binary(void)
{
    static const char *path;

    return path ? path : (path = find("apiserver", "crd-apiserver"));
}

const char *servers_nats_missing(void)
{
    return nats_binary() ? NULL : "there is no nats-server: run images/nats.sh";
}

const char *servers_kube_missing(void)
{
    if (!etcd_binary())
        return "there is no etcd";
    return api_binary() ? NULL : "there is no crd-apiserver: run images/apiserver.sh";
}

static int free_port(uint16_t *ret, struct err **err)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return err_errno(err, errno, "finding a free port");
    *ret = ntohs(address.sin_port);
    return 0;
}

static int spawn(const char *dir, const char *name, char *const *argv, char *const *env,
                 struct proc *ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s.log", dir, name);
    CLEANUP_CLOSE int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct proc_spec spec = { .argv = argv, .env = env, .out_fd = log, .own_group = true };

    if (log < 0)
        return err_errno(err, errno, "opening %s", path);
    return proc_spawn(&spec, ret, err);
}

/* Polls until `ready` says so or the process has ended. */
static int wait_ready(struct proc *proc, const char *dir, const char *name,
                      bool (*ready)(const void *server), const void *server, struct err **err)
{
    int64_t until = check_now_ms() + READY_MS;

    while (!ready(server)) {
        if (proc_ended(proc)) {
            CLEANUP_FREE char *status = proc_status_text(proc->status);
            return err_new(err, ECHILD, "%s %s; see %s/%s.log", name, status, dir, name);
        }
        if (check_now_ms() > until)
            return err_new(err, ETIMEDOUT, "%s is not ready after %d s; see %s/%s.log", name,
                           READY_MS / 1000, dir, name);
        check_pause();
    }
    return 0;
}

static void stop(struct proc *proc, int signal)
{
    if (proc->pid <= 0)
        return;
    kill(proc->pid, signal);
    if (proc_wait(proc, STOP_MS, NULL) < 0)
        proc_stop(proc, /* group= */ true, 0);
}

/* --- nats-server -------------------------------------------------------------------------- */

static bool nats_ready(const void *server)
{
    const struct servers_nats *s = server;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(s->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = { .tv_sec = 2 };
    char hello[5] = "";

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    return recv(fd, hello, 4, MSG_WAITALL) == 4 && str_eq(hello, "INFO");
}

int servers_nats_start(struct servers_nats *s, struct err **err)
{
    CLEANUP_FREE char *config = NULL, *text = NULL;

    if (!s->dir) {
        s->dir = xstrdup(check_tmpdir());
        s->user = "fleet";
        s->password = "fleet-secret";
        if (free_port(&s->port, err) < 0)
            return -EIO;
        s->url = xasprintf("nats://127.0.0.1:%d", s->port);
    }
    config = xasprintf("%s/nats.conf", s->dir);
    text = xasprintf("listen: 127.0.0.1:%d\n"
                     "jetstream { store_dir: \"%s/store\" }\n"
                     "authorization { user: %s, password: %s }\n",
                     s->port, s->dir, s->user, s->password);
    if (file_write(config, text, strlen(text), 0600, err) < 0)
        return -EIO;
    if (spawn(s->dir, "nats", (char *[]){ (char *)nats_binary(), (char *)"-c", config, NULL }, NULL,
              &s->proc, err) < 0)
        return -EIO;
    return wait_ready(&s->proc, s->dir, "nats", nats_ready, s, err);
}

void servers_nats_stop(struct servers_nats *s, int signal)
{
    stop(&s->proc, signal);
}

void servers_nats_done(struct servers_nats *s)
{
    stop(&s->proc, SIGKILL);
    free(s->dir);
    free(s->url);
    *s = (struct servers_nats){ 0 };
}

/* --- etcd and the API server -------------------------------------------------------------- */

/* A certificate signed by the authority in `dir`, which signs itself. */
static int make_certificate(const char *dir, const char *name, const char *subject,
                            const char *extension, struct err **err)
{
    CLEANUP_STRV char **argv =
            strv_split("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
                       " -days 30",
                       " ");
    bool is_authority = str_eq(name, "ca");

    strv_add(&argv, "-subj");
    strv_add(&argv, subject);
    strv_add(&argv, "-addext");
    strv_add(&argv, extension);
    strv_add(&argv, "-keyout");
    strv_addf(&argv, "%s/%s.key", dir, name);
    strv_add(&argv, "-out");
    strv_addf(&argv, "%s/%s.crt", dir, name);
    if (!is_authority) {
        strv_add(&argv, "-CA");
        strv_addf(&argv, "%s/ca.crt", dir);
        strv_add(&argv, "-CAkey");
        strv_addf(&argv, "%s/ca.key", dir);
    }
    if (proc_run(argv, NULL, 20000, NULL, NULL, err) < 0)
        return err_wrap(err, "making the certificate of %s", name);
    return 0;
}

static int make_pki(struct servers_kube *s, struct err **err)
{
    CLEANUP_FREE char *text = NULL;

    if (make_certificate(s->dir, "ca", "/CN=test-ca", "keyUsage=critical,keyCertSign", err) < 0 ||
        make_certificate(s->dir, "server", "/CN=localhost",
                         "subjectAltName=DNS:localhost,IP:127.0.0.1", err) < 0 ||
        make_certificate(s->dir, "admin", "/O=system:masters/CN=admin",
                         "extendedKeyUsage=clientAuth", err) < 0)
        return -EIO;
    s->kubeconfig = xasprintf("%s/kubeconfig", s->dir);
    text = xasprintf("apiVersion: v1\n"
                     "kind: Config\n"
                     "current-context: test\n"
                     "contexts: [{ name: test, context: { cluster: c, user: admin } }]\n"
                     "clusters:\n"
                     "- { name: c, cluster: { server: \"%s\", certificate-authority: ca.crt } }\n"
                     "users:\n"
                     "- name: admin\n"
                     "  user: { client-certificate: admin.crt, client-key: admin.key }\n",
                     s->url);
    return file_write(s->kubeconfig, text, strlen(text), 0600, err);
}

static bool etcd_ready(const void *server)
{
    const struct servers_kube *s = server;
    CLEANUP_FREE char *url = xasprintf("http://127.0.0.1:%d", s->etcd_port);
    struct http_peer peer = { .base_url = url };
    struct http_request request = { .method = "GET", .path = "/health", .timeout_ms = 2000 };
    long status = 0;

    return http_call(&peer, &request, &status, NULL, NULL, NULL) == 0 && status == 200;
}

static bool api_ready(const void *server)
{
    const struct servers_kube *s = server;
    CLEANUP(kube_free) struct kube *k = NULL;
    struct http_request request = { .method = "GET", .path = "/readyz", .timeout_ms = 2000 };
    long status = 0;

    return kube_load(s->kubeconfig, &k, NULL) == 0 &&
           http_call(&k->peer, &request, &status, NULL, NULL, NULL) == 0 && status == 200;
}

static int start_etcd(struct servers_kube *s, struct err **err)
{
    CLEANUP_STRV char **argv = NULL;

    strv_add(&argv, etcd_binary());
    strv_addf(&argv, "--data-dir=%s/etcd", s->dir);
    strv_addf(&argv, "--listen-client-urls=http://127.0.0.1:%d", s->etcd_port);
    strv_addf(&argv, "--advertise-client-urls=http://127.0.0.1:%d", s->etcd_port);
    strv_addf(&argv, "--listen-peer-urls=http://127.0.0.1:%d", s->etcd_peer_port);
    strv_addf(&argv, "--initial-advertise-peer-urls=http://127.0.0.1:%d", s->etcd_peer_port);
    strv_addf(&argv, "--initial-cluster=default=http://127.0.0.1:%d", s->etcd_peer_port);
    strv_add(&argv, "--unsafe-no-fsync");
    strv_add(&argv, "--log-level=warn");
    if (spawn(s->dir, "etcd", argv, NULL, &s->etcd, err) < 0)
        return -EIO;
    return wait_ready(&s->etcd, s->dir, "etcd", etcd_ready, s, err);
}

static int start_api(struct servers_kube *s, struct err **err)
{
    CLEANUP_STRV char **argv = NULL;

    strv_add(&argv, api_binary());
    strv_addf(&argv, "--etcd-servers=http://127.0.0.1:%d", s->etcd_port);
    strv_add(&argv, "--bind-address=127.0.0.1");
    strv_addf(&argv, "--secure-port=%d", s->port);
    strv_addf(&argv, "--tls-cert-file=%s/server.crt", s->dir);
    strv_addf(&argv, "--tls-private-key-file=%s/server.key", s->dir);
    strv_addf(&argv, "--client-ca-file=%s/ca.crt", s->dir);
    if (spawn(s->dir, "apiserver", argv, NULL, &s->api, err) < 0)
        return -EIO;
    return wait_ready(&s->api, s->dir, "apiserver", api_ready, s, err);
}

int servers_kube_start(struct servers_kube *s, struct err **err)
{
    int r;

    if (!s->dir) {
        s->dir = xstrdup(check_tmpdir());
        if (free_port(&s->port, err) < 0 || free_port(&s->etcd_port, err) < 0 ||
            free_port(&s->etcd_peer_port, err) < 0)
            return -EIO;
        s->url = xasprintf("https://127.0.0.1:%d", s->port);
        r = make_pki(s, err);
        if (r < 0)
            return r;
    }
    r = start_etcd(s, err);
    return r < 0 ? r : start_api(s, err);
}

void servers_kube_stop(struct servers_kube *s, int signal)
{
    stop(&s->api, signal);
    stop(&s->etcd, signal);
}

void servers_kube_done(struct servers_kube *s)
{
    servers_kube_stop(s, SIGKILL);
    free(s->dir);
    free(s->url);
    free(s->kubeconfig);
    *s = (struct servers_kube){ 0 };
}
