/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/control_parts.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define OPENSSL_MS 20000
#define DAYS "365"

static int openssl(char *const *argv, struct err **err)
{
    int r = proc_run(argv, NULL, OPENSSL_MS, NULL, NULL, err);

    return r < 0 ? err_wrap(err, "making the control plane's keys") : 0;
}

static int make_key(const char *path, struct err **err)
{
    return openssl(ARGV("openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-out", path),
                   err);
}

/* NAME.key and NAME.crt with these extensions, signed by the CA or, when `ca` is NULL, by itself. */
static int make_pair(const char *dir, const char *name, const char *ca, const char *subject,
                     char *const *extensions, struct err **err)
{
    CLEANUP_FREE char *key = xasprintf("%s/%s.key", dir, name);
    CLEANUP_FREE char *crt = xasprintf("%s/%s.crt", dir, name);
    CLEANUP_STRV char **argv = strv_copy(ARGV("openssl", "req", "-x509", "-new", "-key", key,
                                              "-out", crt, "-subj", subject, "-days", DAYS));
    int r = make_key(key, err);

    if (r < 0)
        return r;
    for (size_t i = 0; extensions[i]; i++) {
        strv_add(&argv, "-addext");
        strv_add(&argv, extensions[i]);
    }
    if (ca) {
        strv_add(&argv, "-CA");
        strv_addf(&argv, "%s/%s.crt", dir, ca);
        strv_add(&argv, "-CAkey");
        strv_addf(&argv, "%s/%s.key", dir, ca);
    }
    return openssl(argv, err);
}

int control_pki_make(const char *dir, struct err **err)
{
    CLEANUP_FREE char *account = xasprintf("%s/service-account.key", dir);
    CLEANUP_FREE char *ca_key = xasprintf("%s/ca.key", dir);
    int r;

    if ((r = dir_make(dir, 0700, err)) < 0 ||
        (r = make_pair(
                 dir, "ca", NULL, "/CN=fleetrig lab CA",
                 ARGV("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"),
                 err)) < 0 ||
        (r = make_pair(dir, "server", "ca", "/CN=localhost",
                       ARGV("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth",
                            "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1"),
                       err)) < 0 ||
        (r = make_pair(dir, "admin", "ca", "/O=system:masters/CN=admin",
                       ARGV("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"),
                       err)) < 0 ||
        (r = make_key(account, err)) < 0)
        return r;
    unlink(ca_key);
    return 0;
}

static bool is_crd_apiserver(const char *program)
{
    const char *slash = strrchr(program, '/');

    return str_starts(slash ? slash + 1 : program, "crd-apiserver");
}

char **control_apiserver_argv(const struct apiserver *a)
{
    char **argv = NULL;

    strv_add(&argv, a->program);
    strv_addf(&argv, "--etcd-servers=http://127.0.0.1:%u", a->etcd_port);
    strv_add(&argv, "--bind-address=127.0.0.1");
    strv_addf(&argv, "--secure-port=%u", a->port);
    strv_addf(&argv, "--tls-cert-file=%s/server.crt", a->pki);
    strv_addf(&argv, "--tls-private-key-file=%s/server.key", a->pki);
    strv_addf(&argv, "--client-ca-file=%s/ca.crt", a->pki);
    if (is_crd_apiserver(a->program))
        return argv;
    /* As envtest starts one: real RBAC, and no controllers that would issue service accounts. */
    strv_add(&argv, "--authorization-mode=RBAC");
    strv_add(&argv, "--disable-admission-plugins=ServiceAccount");
    strv_add(&argv, "--service-cluster-ip-range=10.0.0.0/24");
    strv_add(&argv, "--allow-privileged=true");
    strv_addf(&argv, "--service-account-issuer=https://127.0.0.1:%u/", a->port);
    strv_addf(&argv, "--service-account-key-file=%s/service-account.key", a->pki);
    strv_addf(&argv, "--service-account-signing-key-file=%s/service-account.key", a->pki);
    return argv;
}

/* A scalar of YAML in single quotes: a path may contain anything. */
static void add_quoted(struct buf *out, const char *key, const char *dir, const char *file)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, file);

    buf_addf(out, "%s: '", key);
    for (const char *p = path; *p; p++)
        buf_adds(out, *p == '\'' ? "''" : (char[]){ *p, '\0' });
    buf_adds(out, "'\n");
}

char *control_kubeconfig_text(const char *pki, uint16_t port)
{
    CLEANUP_BUF struct buf out = BUF_INIT(64 << 10);

    buf_addf(&out,
             "apiVersion: v1\n"
             "kind: Config\n"
             "clusters:\n"
             "- name: fleetrig\n"
             "  cluster:\n"
             "    server: 'https://127.0.0.1:%u'\n",
             port);
    add_quoted(&out, "    certificate-authority", pki, "ca.crt");
    buf_adds(&out, "users:\n"
                   "- name: admin\n"
                   "  user:\n");
    add_quoted(&out, "    client-certificate", pki, "admin.crt");
    add_quoted(&out, "    client-key", pki, "admin.key");
    buf_adds(&out, "contexts:\n"
                   "- name: fleetrig\n"
                   "  context:\n"
                   "    cluster: fleetrig\n"
                   "    user: admin\n"
                   "    namespace: default\n"
                   "current-context: fleetrig\n");
    return buf_steal(&out);
}
