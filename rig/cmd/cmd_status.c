/* SPDX-License-Identifier: AGPL-3.0-only */

/* What the keeper says, what /proc says of the processes, and what the Kubernetes API says of devices
 * and deployments: one document, as JSON or as tables. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/kube.h"
#include "fleet/wire/resource.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_text.h"
#include "rig/ledger/ledger.h"

#define STATUS_MS 10000
#define TEXT_MAX (4 * 1024 * 1024)

const struct verbs_option cmd_status_options[] = {
    { "output", 'o', "FORMAT", "tables for people, or JSON", "text|json" },
    FLEET_OPTION,
    { 0 },
};

/* --- Processes ------------------------------------------------------------------------------- */

/* Resident, in KiB; -1 when there is no such process. */
static int64_t memory_of(int pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/statm", pid), *text = NULL;
    long long pages = 0;

    if (file_read(path, 4096, &text, NULL, NULL) < 0 || sscanf(text, "%*d %lld", &pages) != 1)
        return -1;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int64_t uptime_ms(int pid)
{
    uint64_t start = process_start(pid);
    struct timespec now;

    if (start == 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return -1;
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 -
           (int64_t)(start * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void add_processes(json_t *status)
{
    json_t *component;
    size_t i;

    json_array_foreach(json_object_get(status, "components"), i, component)
    {
        int pid = (int)json_path_int(component, "pid", 0);
        int64_t memory = pid ? memory_of(pid) : -1, up = pid ? uptime_ms(pid) : -1;

        if (memory >= 0)
            json_object_set_new(component, "memory_kib", json_integer(memory));
        if (up >= 0)
            json_object_set_new(component, "up_ms", json_integer(up));
    }
}

/* --- Kubernetes ------------------------------------------------------------------------------ */

static json_t *find_device(json_t *status, const char *name)
{
    json_t *device;
    size_t i;

    json_array_foreach(json_object_get(status, "devices"), i,
                       device) if (str_eq(json_path_str(device, "name"), name)) return device;
    return NULL;
}

static const char *reachable(const json_t *object)
{
    json_t *conditions = json_path(object, "status.conditions"), *condition;
    size_t i;

    json_array_foreach(
            conditions, i,
            condition) if (str_eq(json_path_str(condition, "type"),
                                  "Reachable")) return str_eq(json_path_str(condition, "status"),
                                                              "True")
            ? "yes"
            : "no";
    return NULL;
}

static void add_device(json_t *status, const json_t *object)
{
    const char *name = json_path_str(object, "metadata.name"),
               *agent = json_path_str(object, "status.currentVersion");
    json_t *device = name ? find_device(status, name) : NULL;

    if (!agent)
        agent = json_path_str(object, "spec.inventory.agentVersion");
    if (!device)
        return;
    if (reachable(object))
        json_object_set_new(device, "reachable", json_string(reachable(object)));
    if (agent)
        json_object_set_new(device, "agent", json_string(agent));
}

static json_t *deployment_json(const json_t *object)
{
    const json_t *aggregate = json_path(object, "status.aggregate");

    return json_pack("{s:s*, s:s*, s:I, s:I, s:I, s:I, s:s*}", "name",
                     json_path_str(object, "metadata.name"), "namespace",
                     json_path_str(object, "metadata.namespace"), "matched",
                     json_path_int(aggregate, "matchedDeviceCount", 0), "succeeded",
                     json_path_int(aggregate, "succeeded", 0), "failed",
                     json_path_int(aggregate, "failed", 0), "pending",
                     json_path_int(aggregate, "pending", 0), "error",
                     json_path_str(aggregate, "lastError.message"));
}

static int add_kubernetes(json_t *status, const char *kubeconfig, struct err **err)
{
    CLEANUP(kube_free) struct kube *kube = NULL;
    CLEANUP_JSON json_t *devices = NULL, *deployments = NULL;
    json_t *object, *list = json_array();
    size_t i;
    int r;

    json_object_set_new(status, "deployments", list);
    if ((r = kube_load(kubeconfig, &kube, err)) < 0 ||
        (r = kube_call(kube, "GET", PATH_DEVICES, NULL, NULL, &devices, err)) < 0 ||
        (r = kube_call(kube, "GET", PATH_DEPLOYMENTS, NULL, NULL, &deployments, err)) < 0)
        return r;
    json_array_foreach(json_object_get(devices, "items"), i, object) add_device(status, object);
    json_array_foreach(json_object_get(deployments, "items"), i, object)
            json_array_append_new(list, deployment_json(object));
    return 0;
}

/* --- The command ----------------------------------------------------------------------------- */

static int ask_keeper(const struct fleet_cmd *c, json_t **ret, struct err **err)
{
    CLEANUP(progress_free) struct progress *progress = progress_new(stderr, /* width= */ 0);
    const struct request request = { .ask = ASK_STATUS };
    struct answer answer = { 0 };
    int r = fleet_ask(c->fleet, &request, STATUS_MS, progress, NULL, &answer, err);

    if (r < 0)
        return r;
    if (answer.exit == 0 && json_is_object(answer.data))
        *ret = json_incref(answer.data);
    else
        r = err_new(err, EPROTO, "the keeper of fleet %s answers: %s", c->fleet->name, answer.text);
    answer_done(&answer);
    return r;
}

static void print(const struct verbs_args *args, const json_t *status)
{
    CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);
    const char *format = verbs_value(args, "output");

    if (format && str_eq(format, "json")) {
        CLEANUP_FREE char *json = json_dumps(status, JSON_INDENT(2));

        printf("%s\n", json);
        return;
    }
    fleet_status_text(status, clock_wall_ms(), &text);
    fputs(buf_str(&text), stdout);
}

int cmd_status(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    CLEANUP_ERR struct err *err = NULL, *unseen = NULL;
    CLEANUP_JSON json_t *status = NULL;
    int code = fleet_cmd_open(args, &c);

    (void)userdata;
    if (code)
        return code;
    if (fleet_need(c.fleet, &c.state, &err) < 0 && err_code(err) != EAGAIN)
        return fleet_cmd_error(RIG_USAGE, err);
    err_free(steal_ptr(err));
    if (ask_keeper(&c, &status, &err) < 0)
        return fleet_cmd_error(RIG_FAILED, err);
    add_processes(status);
    if (c.state.up && add_kubernetes(status, c.state.kubeconfig, &unseen) < 0)
        json_object_set_new(status, "kubernetes_trouble", json_string(err_text(unseen)));
    print(args, status);
    return RIG_PASSED;
}
