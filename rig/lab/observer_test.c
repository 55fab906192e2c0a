/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/observer.h"

#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "fleet/deploy/score.h"
#include "fleet/link/bus.h"
#include "fleet/link/kube.h"
#include "fleet/testing/servers.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"

#define PATIENCE_MS 20000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf told; /* "lane: text\n" */

static void on_state(enum lab_event_kind kind, const char *lane, const char *text, void *userdata)
{
    (void)userdata;
    pthread_mutex_lock(&lock);
    buf_addf(&told, "%s%s: %s\n", kind == LAB_STATE ? "" : "?", lane, text);
    pthread_mutex_unlock(&lock);
}

static size_t times(const char *line)
{
    size_t n = 0;

    pthread_mutex_lock(&lock);
    for (const char *at = buf_str(&told); (at = strstr(at, line)); at++)
        n++;
    pthread_mutex_unlock(&lock);
    return n;
}

static void put_state(struct bus *bus, const char *phase, const char *error)
{
    CLEANUP_FREE char *value = xasprintf("{\"device_id\":\"edge-1\",\"deployment\":\"hello\","
                                         "\"phase\":\"%s\",\"last_event_at\":"
                                         "\"2026-04-21T18:15:42Z\"%s}",
                                         phase, error);
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_put(bus, BUCKET_DEVICE_STATE, "state.edge-1.hello", value, strlen(value), 5000,
                     &err),
             err);
}

static void set_reachable(struct kube *kube, const char *status)
{
    CLEANUP_JSON json_t *device =
            json_pack("{s:s, s:s, s:{s:s}, s:{}}", "apiVersion", FLEET_API_VERSION, "kind",
                      "Device", "metadata", "name", "edge-1", "spec");
    CLEANUP_JSON json_t *patch =
            json_pack("{s:{s:[{s:s, s:s, s:s, s:s, s:s}]}}", "status", "conditions", "type",
                      "Reachable", "status", status, "reason", "Test", "message", "",
                      "lastTransitionTime", "2026-04-21T18:15:42Z");
    CLEANUP_ERR struct err *err = NULL;

    need_ok(kube_apply(kube, device, "test", NULL, &err), err);
    need_ok(kube_call(kube, "PATCH", PATH_DEVICES "/edge-1/status", KUBE_MERGE, patch, NULL, &err),
            err);
}

TEST(each_change_is_told_once_also_over_a_restart_of_nats)
{
    struct servers_nats nats = { 0 };
    struct servers_kube api = { 0 };
    CLEANUP(kube_free) struct kube *kube = NULL;
    CLEANUP(bus_free) struct bus *bus = NULL;
    CLEANUP(observer_free) struct observer *o = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct outcome outcome = { 0 };

    SERVERS_NEED_NATS();
    SERVERS_NEED_KUBE();
    check_timeout(120);
    told = BUF_INIT(1 << 16);
    need_ok(servers_nats_start(&nats, &err), err);
    need_ok(servers_kube_start(&api, &err), err);
    need_ok(kube_load(api.kubeconfig, &kube, &err), err);
    need_ok(crd_score_deploy(&(struct kube_api){ .kube = kube, .kubeconfig = api.kubeconfig },
                             &outcome, &err),
            err);
    need_ok(bus_new(&(struct bus_config){ .url = nats.url,
                                          .user = nats.user,
                                          .password = nats.password },
                    NULL, NULL, 5000, &bus, &err),
            err);
    o = observer_new(&(struct observer_config){ .kubeconfig = api.kubeconfig,
                                                .nats_url = nats.url,
                                                .user = nats.user,
                                                .password = nats.password,
                                                .tell = on_state });
    need_true(o);
    set_reachable(kube, "True");
    need_ok(bus_ensure_bucket(bus, BUCKET_DEVICE_STATE, 5000, &err), err);
    put_state(bus, "Running", "");
    check_within(PATIENCE_MS, times("edge-1: Reachable=True\n") == 1);
    check_within(PATIENCE_MS, times("edge-1: hello: Running\n") == 1);
    servers_nats_stop(&nats, SIGKILL);
    set_reachable(kube, "False");
    check_within(PATIENCE_MS, times("edge-1: Reachable=False\n") == 1);
    need_ok(servers_nats_start(&nats, &err), err);
    check_within(PATIENCE_MS, bus_put(bus, BUCKET_DEVICE_STATE, "x", "y", 1, 2000, NULL) >= 0);
    put_state(bus, "Failed", ",\"last_error\":\"no such image\"");
    check_within(PATIENCE_MS, times("edge-1: hello: Failed: no such image\n") == 1);
    check_int((int64_t)times("hello: Running"), 1);
    check_int((int64_t)times("?"), 0);
    servers_nats_stop(&nats, SIGTERM);
    servers_kube_stop(&api, SIGTERM);
    observer_free(steal_ptr(o)); /* with nobody there */
    servers_nats_done(&nats);
    servers_kube_done(&api);
    buf_done(&told);
}

TEST(it_ends_where_nothing_ever_answers)
{
    struct observer *o = observer_new(&(struct observer_config){ .kubeconfig = "/nonexistent",
                                                                 .nats_url = "nats://127.0.0.1:1",
                                                                 .user = "u",
                                                                 .password = "p",
                                                                 .tell = on_state });

    check_true(o);
    observer_free(o);
}

CHECK_MAIN()
