/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: the thread makes its loop, two lists of the API server and one watch of a
 * bucket, and runs the loop until a byte arrives on `wake`. All but `wake` belongs to the thread. Lists
 * and watches show what is there again and again; `told` remembers the last text by lane and name,
 * and only another one is told.
 */

#include "rig/lab/observer.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus.h"
#include "fleet/link/kube.h"
#include "fleet/wire/device.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"

#define OPERATOR "operator" /* the lane of what it says of Deployments */
#define TEXT_MAX 300

struct observer {
    char *kubeconfig, *nats_url, *user, *password;
    lab_on_event *tell;
    void *userdata;
    pthread_t thread;
    int wake;

    struct map told; /* "lane name" -> text */
};

/* --- Telling --------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void tell(struct observer *o, const char *lane,
                                                       const char *name, const char *fmt, ...)
{
    CLEANUP_FREE char *key = xasprintf("%s %s", lane, name);
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (str_eq(map_get(&o->told, key), text))
        return;
    free(map_put(&o->told, key, xstrdup(text)));
    o->tell(LAB_STATE, lane, text, o->userdata);
}

static const char *condition(const json_t *object, const char *type)
{
    const json_t *conditions = json_path(object, "status.conditions"), *item;
    size_t i;

    json_array_foreach(conditions, i, item)
    {
        if (str_eq(json_path_str(item, "type"), type))
            return json_path_str(item, "status");
    }
    return NULL;
}

static void on_device(enum kube_event event, const json_t *object, const struct err *trouble,
                      void *userdata)
{
    const char *name = json_path_str(object, "metadata.name");
    const char *reachable = condition(object, "Reachable");

    (void)trouble;
    if (!name)
        return;
    if (event == KUBE_GONE)
        tell(userdata, name, "Reachable", "Reachable: its Device is gone");
    else if (event == KUBE_PUT && reachable)
        tell(userdata, name, "Reachable", "Reachable=%s", reachable);
}

static void on_deployment(enum kube_event event, const json_t *object, const struct err *trouble,
                          void *userdata)
{
    const char *name = json_path_str(object, "metadata.name");
    const json_t *a = json_path(object, "status.aggregate");

    (void)trouble;
    if (!name)
        return;
    if (event == KUBE_GONE)
        tell(userdata, OPERATOR, name, "%s: its Deployment is gone", name);
    else if (event == KUBE_PUT && a)
        tell(userdata, OPERATOR, name, "%s: %d succeeded, %d failed, %d pending of %d", name,
             (int)json_path_int(a, "succeeded", 0), (int)json_path_int(a, "failed", 0),
             (int)json_path_int(a, "pending", 0), (int)json_path_int(a, "matchedDeviceCount", 0));
}

static void on_state(const struct bus_entry *entry, void *userdata)
{
    struct deployment_state state = { 0 };
    struct device_key key;

    if (key_parse_state(entry->key, &key, NULL) < 0)
        return;
    if (!entry->value) {
        tell(userdata, key.device, key.deployment, "%s: no state", key.deployment);
    } else if (deployment_state_decode(entry->value, entry->len, &state, NULL) >= 0) {
        tell(userdata, key.device, key.deployment, "%s: %s%s%s", key.deployment,
             phase_text(state.phase), state.last_error ? ": " : "",
             state.last_error ? state.last_error : "");
        deployment_state_done(&state);
    }
}

static void on_nothing(void *userdata)
{
    (void)userdata;
}

static void on_trouble(const struct err *err, void *userdata)
{
    (void)err, (void)userdata;
}

/* --- The thread ------------------------------------------------------------------------------ */

DEFINE_CLEANUP(sd_event *, sd_event_unref)

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)fd, (void)events, (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Each part is watched as far as it can be. The watches go before what they stand on. */
static void observe(struct observer *o, sd_event *loop)
{
    struct bus_config bus_config = {
        .url = o->nats_url, .name = "rig-observer", .user = o->user, .password = o->password
    };
    struct kube_list_handler on_devices = { on_device, o }, on_deployments = { on_deployment, o };
    struct bus_handler on_bus = { .connected = on_nothing };
    struct bus_watch_handler on_states = { .begin = on_nothing,
                                           .entry = on_state,
                                           .end = on_nothing,
                                           .trouble = on_trouble,
                                           .userdata = o };
    CLEANUP(kube_free) struct kube *kube = NULL;
    CLEANUP(http_free) struct http *http = NULL;
    CLEANUP(kube_list_free) struct kube_list *devices = NULL;
    CLEANUP(kube_list_free) struct kube_list *deployments = NULL;
    CLEANUP(bus_free) struct bus *bus = NULL;
    CLEANUP(bus_watch_free) struct bus_watch *states = NULL;

    if (kube_load(o->kubeconfig, &kube, NULL) >= 0 && http_new(loop, &http, NULL) >= 0) {
        kube_list_new(http, kube, PATH_DEVICES, &on_devices, &devices, NULL);
        kube_list_new(http, kube, PATH_DEPLOYMENTS, &on_deployments, &deployments, NULL);
    }
    if (bus_new(&bus_config, loop, &on_bus, 0, &bus, NULL) >= 0)
        bus_watch_new(bus, BUCKET_DEVICE_STATE, ">", &on_states, &states, NULL);
    sd_event_loop(loop);
}

static void *run(void *userdata)
{
    struct observer *o = userdata;
    CLEANUP(sd_event_unref) sd_event *loop = NULL;

    if (sd_event_new(&loop) >= 0 &&
        sd_event_add_io(loop, NULL, o->wake, EPOLLIN, on_wake, NULL) >= 0)
        observe(o, loop);
    return NULL;
}

/* Signals are for the rig's own thread. */
static int start(struct observer *o)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&o->thread, NULL, run, o);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void release(struct observer *o)
{
    MAP_EACH(e, &o->told) free(e->value);
    map_done(&o->told);
    if (o->wake >= 0)
        close(o->wake);
    free(o->kubeconfig);
    free(o->nats_url);
    free(o->user);
    free(o->password);
    free(o);
}

struct observer *observer_new(const struct observer_config *config)
{
    struct observer *o = xcalloc(1, sizeof(*o));

    o->kubeconfig = xstrdup(config->kubeconfig);
    o->nats_url = xstrdup(config->nats_url);
    o->user = xstrdup(config->user);
    o->password = xstrdup(config->password);
    o->tell = config->tell;
    o->userdata = config->userdata;
    o->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (o->wake >= 0 && start(o) == 0)
        return o;
    release(o);
    return NULL;
}

void observer_free(struct observer *o)
{
    if (!o)
        return;
    eventfd_write(o->wake, 1);
    pthread_join(o->thread, NULL);
    release(o);
}
