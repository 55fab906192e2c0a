/* SPDX-License-Identifier: AGPL-3.0-only */

/* The scores of the server side on the embedded control plane, with the real servers: each deploys, passes
 * its smoke test, and a second time changes nothing. */

#include "fleet/deploy/score.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "rig/lab/artefact.h"
#include "rig/lab/control.h"

static struct artefact servers[] = { { .recipe = "apiserver" }, { .recipe = "nats" } };

struct place {
    struct supervisor *supervisor;
    struct control_plane *control;
    const struct service_host *host;
    const struct kube_api *api;
};

static void place_up(struct place *p)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *apiserver = NULL, *nats = NULL;
    const char *dir = check_tmpdir();

    need_ok(artefacts_ensure("images", servers, ARRAY_LEN(servers), NULL, NULL, NULL, &err), err);
    apiserver = xasprintf("%s/bin/crd-apiserver", servers[0].dir);
    nats = xasprintf("%s/bin/nats-server", servers[1].dir);
    need_ok(supervisor_new(dir, &p->supervisor, &err), err);
    supervisor_program(p->supervisor, "nats-server", nats);
    p->host = supervisor_service_host(p->supervisor, "10.0.2.2");
    need_ok(control_plane_start(p->supervisor, dir, apiserver, &p->control, &err), err);
    p->api = control_plane_api(p->control);
    artefacts_done(servers, ARRAY_LEN(servers));
}

static void place_down(struct place *p)
{
    control_plane_free(p->control);
    supervisor_free(p->supervisor);
}

static const struct nats_score nats_score = { .user = "fleet",
                                              .password = "server-secret",
                                              .device_user = "device",
                                              .device_password = "device-secret" };

/* The program of the variant under test stands beside the tests: build/VARIANT/{test,bin}. */
static char *operator_program(void)
{
    CLEANUP_FREE char *self = realpath("/proc/self/exe", NULL);
    char *test = self ? strstr(self, "/test/") : NULL;

    need_true(test != NULL);
    return xasprintf("%.*s/bin/fleet-operator", (int)(test - self), self);
}

TEST(each_score_deploys_once_and_then_changes_nothing)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *program = operator_program();
    struct operator_score operator_score = { .program = program,
                                             .nats_user = nats_score.user,
                                             .nats_password = nats_score.password };
    struct place p = { 0 };
    struct outcome o;

    check_timeout(120);
    place_up(&p);

    check_true(operator_score_deploy(&operator_score, p.host, p.api, &o, &err) < 0);
    check_has(err_text(err), "NATS must be deployed first");
    err_free(steal_ptr(err));

    for (int round = 0; round < 2; round++) {
        enum outcome_kind want = round ? OUTCOME_NOOP : OUTCOME_CHANGED;

        check_case("round %d", round);
        check_ok(nats_score_deploy(&nats_score, p.host, &o, &err), err);
        check_int(o.kind, want);
        check_has(o.detail, "JetStream on file");
        check_ok(crd_score_deploy(p.api, &o, &err), err);
        check_int(o.kind, want);
        check_ok(operator_score_deploy(&operator_score, p.host, p.api, &o, &err), err);
        check_int(o.kind, want);
        check_has(o.detail, "canary");
    }
    check_ok(supervisor_check(p.supervisor, &err), err);

    check_ok(supervisor_kill(p.supervisor, "nats", 9, &err), err);
    check_ok(supervisor_restart(p.supervisor, "nats", &err), err);
    check_ok(nats_score_deploy(&nats_score, p.host, &o, &err), err);
    check_int(o.kind, OUTCOME_NOOP);
    place_down(&p);
}

TEST(a_password_that_could_end_its_quotes_is_refused)
{
    static const char *const bad[] = { "", "a\"b", "a b", "$x", "a\\", "a\n", NULL };
    CLEANUP(supervisor_free) struct supervisor *supervisor = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(supervisor_new(check_tmpdir(), &supervisor, &err), err);
    for (size_t i = 0; bad[i]; i++) {
        struct nats_score score = nats_score;
        struct outcome o;

        check_case("%s", bad[i]);
        score.device_password = bad[i];
        check_int(nats_score_deploy(&score, supervisor_service_host(supervisor, "10.0.2.2"), &o,
                                    &err),
                  -EINVAL);
        check_has(err_text(err), "NATS device password must be");
        err_free(steal_ptr(err));
    }
    check_true(!supervisor_running(supervisor, "nats"));
}

CHECK_MAIN()
