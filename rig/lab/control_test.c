/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/control.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/lab/artefact.h"
#include "rig/lab/control_parts.h"

TEST(each_api_server_gets_the_flags_that_it_knows)
{
    static const struct {
        const char *program, *want;
    } cases[] = {
        { "/cache/bin/crd-apiserver",
          "/cache/bin/crd-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 "
          "--secure-port=6443 --tls-cert-file=/p/server.crt --tls-private-key-file=/p/server.key "
          "--client-ca-file=/p/ca.crt" },
        { "/assets/kube-apiserver",
          "/assets/kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 "
          "--secure-port=6443 --tls-cert-file=/p/server.crt --tls-private-key-file=/p/server.key "
          "--client-ca-file=/p/ca.crt --authorization-mode=RBAC "
          "--disable-admission-plugins=ServiceAccount --service-cluster-ip-range=10.0.0.0/24 "
          "--allow-privileged=true --service-account-issuer=https://127.0.0.1:6443/ "
          "--service-account-key-file=/p/service-account.key "
          "--service-account-signing-key-file=/p/service-account.key" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct apiserver a = {
            .program = cases[i].program, .pki = "/p", .port = 6443, .etcd_port = 2379
        };
        CLEANUP_STRV char **argv = control_apiserver_argv(&a);
        CLEANUP_FREE char *got = strv_join(argv, " ");

        check_case("%s", cases[i].program);
        check_str(got, cases[i].want);
    }
}

TEST(a_path_with_quotes_stays_one_scalar_of_the_kubeconfig)
{
    CLEANUP_FREE char *text = control_kubeconfig_text("/tmp/it's: #here", 6443);

    check_has(text, "certificate-authority: '/tmp/it''s: #here/ca.crt'\n");
    check_has(text, "server: 'https://127.0.0.1:6443'\n");
}

TEST(the_keys_are_a_chain_that_openssl_accepts)
{
    CLEANUP_FREE char *dir = xasprintf("%s/pki", check_tmpdir());
    CLEANUP_FREE char *ca = xasprintf("%s/ca.crt", dir), *ca_key = xasprintf("%s/ca.key", dir);
    CLEANUP_FREE char *server = xasprintf("%s/server.crt", dir);
    CLEANUP_FREE char *admin = xasprintf("%s/admin.crt", dir);
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(control_pki_make(dir, &err), err);
    check_ok(proc_run(ARGV("openssl", "verify", "-CAfile", ca, "-purpose", "sslserver",
                           "-verify_ip", "127.0.0.1", server),
                      NULL, 10000, NULL, NULL, &err),
             err);
    check_ok(proc_run(ARGV("openssl", "verify", "-CAfile", ca, "-purpose", "sslclient", admin),
                      NULL, 10000, NULL, NULL, &err),
             err);
    check_true(proc_run(ARGV("openssl", "verify", "-CAfile", ca, "-purpose", "sslserver", admin),
                        NULL, 10000, NULL, NULL, NULL) < 0);
    check_ok(proc_run(ARGV("openssl", "x509", "-in", admin, "-noout", "-subject"), NULL, 10000,
                      &out, NULL, &err),
             err);
    check_has(buf_str(&out), "O=system:masters, CN=admin");
    check_true(!file_exists(ca_key));
}

TEST(without_an_api_server_it_says_what_to_do)
{
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct control_plane *c = NULL;
    const char *dir = check_tmpdir();

    need_ok(supervisor_new(dir, &s, &err), err);
    setenv("KUBEBUILDER_ASSETS", "/nonexistent", 1);
    check_int(control_plane_start(s, dir, NULL, &c, &err), -ENOENT);
    unsetenv("KUBEBUILDER_ASSETS");
    check_has(err_text(err), "KUBEBUILDER_ASSETS has no kube-apiserver");
    check_true(err_next(err) != NULL);
}

/* The API server of images/apiserver.sh takes minutes to build, once: a test does not start that. */
static char *built_apiserver(void)
{
    CLEANUP_BUF struct buf found = BUF_INIT(4096);
    const char *find =
            "ls -t \"${XDG_CACHE_HOME:-$HOME/.cache}\"/fleetrig/apiserver/*/bin/crd-apiserver"
            " | head -n 1 | tr -d '\\n'";

    if (proc_run(ARGV("sh", "-c", find), NULL, 5000, &found, NULL, NULL) < 0 || found.len == 0)
        return NULL;
    return buf_steal(&found);
}

TEST(the_control_plane_serves_and_the_death_of_etcd_is_told)
{
    CLEANUP_FREE char *program = built_apiserver(), *kubectl = NULL, *home = NULL;
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    CLEANUP(control_plane_free) struct control_plane *c = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(64 << 10);
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    int64_t start = clock_mono_ms();

    if (!program)
        check_skip("no API server is built yet: images/apiserver.sh");
    kubectl = xasprintf("%.*s/kubectl", (int)(strrchr(program, '/') - program), program);
    home = xasprintf("HOME=%s", dir);
    need_ok(supervisor_new(dir, &s, &err), err);
    need_ok(control_plane_start(s, dir, program, &c, &err), err);
    printf("# control plane ready after %d ms\n", (int)(clock_mono_ms() - start));
    check_ok(kube_call(control_plane_api(c)->kube, "GET",
                       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", NULL, NULL, NULL,
                       &err),
             err);
    check_ok(proc_run(ARGV("env", home, kubectl, "--kubeconfig", control_plane_kubeconfig(c), "get",
                           "crd", "--output", "name"),
                      NULL, 20000, &out, NULL, &err),
             err);
    check_ok(supervisor_check(s, &err), err);
    kill(supervisor_pid(s, "etcd"), SIGKILL);
    check_within(5000, supervisor_check(s, NULL) < 0);
    check_true(supervisor_check(s, &err) < 0);
    check_has(err_text(err), "etcd killed by signal 9");
    /* The same data under the same API server. */
    check_ok(supervisor_restart(s, "etcd", &err), err);
    check_ok(supervisor_check(s, &err), err);
}

CHECK_MAIN()
