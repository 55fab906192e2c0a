/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * For operator_test.c: the operator as a process between real servers, and the people and devices on
 * its two sides.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus.h"
#include "fleet/link/kube.h"
#include "fleet/testing/servers.h"
#include "fleet/wire/device.h"
#include "fleet/wire/resource.h"

#define SOON_MS 10000
#define CALL_MS 5000
#define UNREACHABLE_MS 1500

static struct {
    struct servers_nats nats;
    struct servers_kube kube;
    struct kube *api;
    struct bus *bus;
    struct proc op;
    char *dir, *config, *log;
} lab;

/* --- the operator ------------------------------------------------------------------------- */

/* build/VARIANT/bin/fleet-operator, beside the folder that this program is in. */
static char *operator_path(void)
{
    char self[4096] = "", *cut;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    need_true(n > 0);
    cut = strstr(self, "/test/fleet/");
    need_true(cut != NULL);
    *cut = '\0';
    return xasprintf("%s/bin/fleet-operator", self);
}

static void operator_start(void)
{
    CLEANUP_FREE char *program = operator_path();
    CLEANUP_CLOSE int log = open(lab.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    char *argv[] = { program, (char *)"--config", lab.config, NULL };
    struct proc_spec spec = { .argv = argv, .out_fd = log };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(proc_spawn(&spec, &lab.op, &err), err);
}

static void operator_stop(int signal)
{
    CLEANUP_ERR struct err *err = NULL;

    check_true(!proc_ended(&lab.op));
    kill(lab.op.pid, signal);
    check_ok(proc_wait(&lab.op, SOON_MS, &err), err);
}

static char *log_text(void)
{
    char *text = NULL;

    need_true(file_read(lab.log, 16 << 20, &text, NULL, NULL) == 0);
    return text;
}

/* How often `part` stands in the log. */
static int logged(const char *part)
{
    CLEANUP_FREE char *text = log_text();
    int n = 0;

    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

static void operator_restart(int signal)
{
    int before = logged("the fleet is known");

    operator_stop(signal);
    operator_start();
    check_within(SOON_MS, logged("the fleet is known") > before);
}

static void lab_setup(void)
{
    CLEANUP_FREE char *text = NULL, *password = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(servers_nats_start(&lab.nats, &err), err);
    need_ok(servers_kube_start(&lab.kube, &err), err);
    lab.dir = xstrdup(check_tmpdir());
    lab.config = xasprintf("%s/operator.yml", lab.dir);
    lab.log = xasprintf("%s/operator.log", lab.dir);
    password = xasprintf("%s/password", lab.dir);
    text = xasprintf("kubeconfig: %s\n"
                     "nats: { url: '%s', user: %s, password_file: %s }\n"
                     "unreachable_after: %dms\n",
                     lab.kube.kubeconfig, lab.nats.url, lab.nats.user, password, UNREACHABLE_MS);
    need_ok(file_write(password, lab.nats.password, strlen(lab.nats.password), 0600, &err), err);
    need_ok(file_write(lab.config, text, strlen(text), 0600, &err), err);
    need_ok(kube_load(lab.kube.kubeconfig, &lab.api, &err), err);
}

static void bus_connect(void)
{
    struct bus_config config = {
        .url = lab.nats.url, .name = "test", .user = lab.nats.user, .password = lab.nats.password
    };
    CLEANUP_ERR struct err *err = NULL;

    bus_free(steal_ptr(lab.bus));
    need_ok(bus_new(&config, NULL, NULL, SOON_MS, &lab.bus, &err), err);
}

/* Servers and an operator that knows the fleet. */
static void need_lab(void)
{
    SERVERS_NEED_NATS();
    SERVERS_NEED_KUBE();
    if (!lab.dir) {
        lab_setup();
        operator_start();
        check_within(SOON_MS * 2, logged("the fleet is known") == 1);
        bus_connect();
    }
}

/* --- people ------------------------------------------------------------------------------- */

static json_t *get(const char *path)
{
    json_t *object = NULL;

    kube_call(lab.api, "GET", path, NULL, NULL, &object, NULL);
    return object;
}

static char *dep_path(const char *ns, const char *name)
{
    return xasprintf("/apis/" FLEET_API_VERSION "/namespaces/%s/deployments/%s", ns, name);
}

static void apply_in(const char *ns, const char *name, const char *group, const char *image)
{
    CLEANUP_JSON json_t *object = json_pack(
            "{s:s, s:s, s:{s:s, s:s}, s:{s:{s:{s:s}}, s:{s:s, s:{s:[{s:s, s:s, s:[s]}]}}}}",
            "apiVersion", FLEET_API_VERSION, "kind", "Deployment", "metadata", "name", name,
            "namespace", ns, "spec", "targetSelector", "matchLabels", "group", group, "score",
            "type", "PodmanV0", "data", "services", "name", "web", "image", image, "ports",
            "8080:80");
    CLEANUP_ERR struct err *err = NULL;

    check_ok(kube_apply(lab.api, object, "people", NULL, &err), err);
}

static void apply(const char *name, const char *group, const char *image)
{
    apply_in("default", name, group, image);
}

static char *score_bytes(const char *image)
{
    return xasprintf("{\"data\":{\"services\":[{\"image\":\"%s\",\"name\":\"web\",\"ports\":"
                     "[\"8080:80\"]}]},\"type\":\"PodmanV0\"}",
                     image);
}

static void delete(const char *ns, const char *name)
{
    CLEANUP_FREE char *path = dep_path(ns, name);
    CLEANUP_ERR struct err *err = NULL;

    check_ok(kube_call(lab.api, "DELETE", path, NULL, NULL, NULL, &err), err);
}

/* "True Accepted", of a condition; "" when there is none. In a ring of buffers. */
static const char *condition(const char *path, const char *type)
{
    static char ring[4][512];
    static int next;
    char *text = ring[next++ % 4];
    CLEANUP_JSON json_t *object = get(path);
    json_t *item;
    size_t i;

    *text = '\0';
    json_array_foreach(json_path(object, "status.conditions"), i, item)
    {
        if (str_eq(json_path_str(item, "type"), type))
            snprintf(text, sizeof(ring[0]), "%s %s: %s", json_path_str(item, "status"),
                     json_path_str(item, "reason"), json_path_str(item, "message"));
    }
    return text;
}

static const char *dep_condition(const char *ns, const char *name, const char *type)
{
    CLEANUP_FREE char *path = dep_path(ns, name);

    return condition(path, type);
}

static const char *device_condition(const char *id, const char *type)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", PATH_DEVICES, id);

    return condition(path, type);
}

/* "matched succeeded failed pending", once the status is about the newest generation. */
static const char *counts(const char *name)
{
    static char text[128];
    CLEANUP_FREE char *path = dep_path("default", name);
    CLEANUP_JSON json_t *object = get(path);
    const json_t *a = json_path(object, "status.aggregate");

    *text = '\0';
    if (json_path_int(object, "status.observedGeneration", 0) ==
        json_path_int(object, "metadata.generation", -1))
        snprintf(text, sizeof(text), "%jd %jd %jd %jd",
                 (intmax_t)json_path_int(a, "matchedDeviceCount", -1),
                 (intmax_t)json_path_int(a, "succeeded", -1),
                 (intmax_t)json_path_int(a, "failed", -1),
                 (intmax_t)json_path_int(a, "pending", -1));
    return text;
}

static bool dep_exists(const char *ns, const char *name)
{
    CLEANUP_FREE char *path = dep_path(ns, name);
    CLEANUP_JSON json_t *object = get(path);

    return object != NULL;
}

/* --- devices ------------------------------------------------------------------------------ */

static void put(const char *bucket, const char *key, const char *value)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_put(lab.bus, bucket, key, value, strlen(value), CALL_MS, &err), err);
}

static void beat_at(const char *id, int64_t at_ms)
{
    struct heartbeat hb = { .device_id = (char *)id, .at_ms = at_ms };
    CLEANUP_FREE char *value = heartbeat_encode(&hb);
    char key[KEY_MAX];

    put(BUCKET_DEVICE_HEARTBEAT, key_heartbeat(key, id), value);
}

static void beat(const char *id)
{
    beat_at(id, clock_wall_ms());
}

static void join(const char *id, const char *group)
{
    struct device_info info = {
        .device_id = (char *)id,
        .inventory = { .hostname = (char *)id,
                       .arch = (char *)"x86_64",
                       .os = (char *)"Debian",
                       .kernel = (char *)"6.12",
                       .cpu_cores = 2,
                       .memory_mb = 1024,
                       .agent_version = (char *)"0.1.0" },
        .updated_at_ms = clock_wall_ms(),
    };
    CLEANUP_FREE char *value = NULL;
    char key[KEY_MAX];

    labels_set(&info.labels, "device-id", id);
    labels_set(&info.labels, "group", group);
    value = device_info_encode(&info);
    put(BUCKET_DEVICE_INFO, key_info(key, id), value);
    labels_done(&info.labels);
    beat(id);
}

static void say_at(const char *id, const char *name, enum phase phase, const char *error,
                   int64_t at_ms)
{
    struct deployment_state state = { .device_id = (char *)id,
                                      .deployment = (char *)name,
                                      .phase = phase,
                                      .last_event_at_ms = at_ms,
                                      .last_error = (char *)error };
    CLEANUP_FREE char *value = deployment_state_encode(&state);
    char key[KEY_MAX];

    put(BUCKET_DEVICE_STATE, key_state(key, id, name), value);
}

static void say(const char *id, const char *name, enum phase phase, const char *error)
{
    say_at(id, name, phase, error, clock_wall_ms());
}

/* The bytes of a desired-state key, "" when there is none. In a static buffer. */
static const char *desired(const char *key)
{
    static char text[4096];
    struct bus_entry entry = { 0 };

    *text = '\0';
    if (bus_get(lab.bus, BUCKET_DESIRED_STATE, key, CALL_MS, &entry, NULL) == 0)
        snprintf(text, sizeof(text), "%s", entry.value ? entry.value : "");
    bus_entry_done(&entry);
    return text;
}

/* What was written where, for "and nothing was written meanwhile": keys with their revisions. */
static char *key_writes(void)
{
    CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);
    CLEANUP_STRV char **keys = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_ok(bus_keys(lab.bus, BUCKET_DESIRED_STATE, ">", CALL_MS, &keys, &err), err);
    for (size_t i = 0; keys && keys[i]; i++) {
        struct bus_entry entry = { 0 };

        check_ok(bus_get(lab.bus, BUCKET_DESIRED_STATE, keys[i], CALL_MS, &entry, &err), err);
        buf_addf(&b, "%s %" PRIu64 "\n", keys[i], entry.revision);
        bus_entry_done(&entry);
    }
    return buf_steal(&b);
}

/* And objects with their resource versions. */
static char *all_writes(void)
{
    static const char *const paths[] = { PATH_DEPLOYMENTS, PATH_DEVICES };
    CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);
    CLEANUP_FREE char *keys = key_writes();
    json_t *item;
    size_t k;

    buf_adds(&b, keys);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        CLEANUP_JSON json_t *list = get(paths[i]);

        json_array_foreach(json_object_get(list, "items"), k, item) buf_addf(
                &b, "%s %s\n", object_name(item), json_path_str(item, "metadata.resourceVersion"));
    }
    return buf_steal(&b);
}

/* Long enough for a status that was put off and for a slow machine. */
static void let_settle(void)
{
    int64_t until = check_now_ms() + 2500;

    while (check_now_ms() < until)
        check_pause();
}
