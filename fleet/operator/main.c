/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * fleet-operator: options, and the wiring of its parts. One thread, one loop. The API server and the
 * bus speak through callbacks that become events; decide() answers with actions; act carries them
 * out. Neither side has to be there at the start, and each may go and come back.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "base/verbs.h"
#include "fleet/operator/act.h"
#include "fleet/operator/settings.h"

#define BUCKET_TIMEOUT_MS 5000
#define SETTLE_MS 10000 /* until new definitions are served; before that, 404 is no news */
#define INSTALL_RETRY_MIN_MS 500
#define INSTALL_RETRY_MAX_MS 3000

struct daemon;

/* One of the buckets, or one of the lists. */
struct input {
    struct daemon *op;
    enum source source;
    const char *name;
    struct kube_list *list;
    struct bus_watch *watch;
    char *trouble; /* of the list, as told last */
};

/* What could not be started, to be fed back as if it had failed. */
struct setback {
    enum action_type type;
    char *target;
    struct err *failure;
    struct setback *next;
};

struct daemon {
    sd_event *loop;
    sd_event_source *timer, *install_timer;
    struct world world;
    struct act act;
    struct setback *setbacks;
    struct input inputs[SOURCES];

    size_t installing;    /* index of the definition that is being applied */
    int64_t installed_ms; /* monotonic; 0: not yet */
    int64_t install_wait_ms;
    char *install_trouble; /* as told last */
};

/* --- events in, actions out --------------------------------------------------------------- */

static void decide_and_act(struct daemon *op, struct event *event)
{
    struct actions actions = { 0 };

    event->mono_ms = clock_mono_ms();
    event->wall_ms = clock_wall_ms();
    decide(&op->world, event, &actions);
    for (size_t i = 0; i < actions.n; i++) {
        struct err *failure = NULL;
        struct setback *s;

        if (act_start(&op->act, &actions.items[i], &failure) >= 0)
            continue;
        s = xmalloc(sizeof(*s));
        *s = (struct setback){ .type = actions.items[i].type,
                               .target = xstrdup(actions.items[i].target),
                               .failure = failure,
                               .next = op->setbacks };
        op->setbacks = s;
    }
    actions_done(&actions);
}

static void feed(struct daemon *op, struct event *event)
{
    struct setback *s;
    int64_t next;

    decide_and_act(op, event);
    while ((s = op->setbacks)) {
        op->setbacks = s->next;
        decide_and_act(op, &(struct event){ .type = EVENT_DONE,
                                            .action = s->type,
                                            .target = s->target,
                                            .failure = s->failure });
        err_free(s->failure);
        free(s->target);
        free(s);
    }
    next = decide_next_ms(&op->world);
    if (next == INT64_MAX) {
        sd_event_source_set_enabled(op->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(op->timer, (uint64_t)next * 1000);
    sd_event_source_set_enabled(op->timer, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    feed(userdata, &(struct event){ .type = EVENT_TIME });
    return 0;
}

static void on_done(struct event *done, void *userdata)
{
    feed(userdata, done);
}

/* --- the API server ----------------------------------------------------------------------- */

static void install(struct daemon *op);

static void on_list_trouble(struct input *in, const struct err *trouble)
{
    struct daemon *op = in->op;
    bool settled = op->installed_ms && clock_mono_ms() - op->installed_ms > SETTLE_MS;

    if (!settled) {
        log_debug("API server, %s: %s", in->name, err_text(trouble));
        return;
    }
    if (!str_eq(in->trouble, err_text(trouble)))
        log_warning("API server, %s: %s", in->name, err_text(trouble));
    replace_str(&in->trouble, err_text(trouble));
    /* The definitions are gone, and with them everything else: an empty API server. */
    if (err_code(trouble) == ENOENT) {
        op->installed_ms = 0;
        install(op);
    }
}

static void on_list(enum kube_event event, const json_t *object, const struct err *trouble,
                    void *userdata)
{
    static const enum event_type types[] = { [KUBE_SYNC_BEGIN] = EVENT_BEGIN,
                                             [KUBE_PUT] = EVENT_OBJECT,
                                             [KUBE_GONE] = EVENT_GONE,
                                             [KUBE_SYNC_END] = EVENT_END };
    struct input *in = userdata;

    if (event == KUBE_TROUBLE) {
        on_list_trouble(in, trouble);
        return;
    }
    if (in->trouble)
        log_info("API server, %s: it answers again", in->name);
    replace_str(&in->trouble, NULL);
    feed(in->op, &(struct event){ .type = types[event], .source = in->source, .object = object });
}

static void start_lists(struct daemon *op)
{
    static const char *const paths[] = {
        [SOURCE_DEPLOYMENTS] = PATH_DEPLOYMENTS, [SOURCE_DEVICES] = PATH_DEVICES
    };

    for (enum source i = SOURCE_DEPLOYMENTS; i <= SOURCE_DEVICES; i++) {
        struct input *in = &op->inputs[i];
        const struct kube_list_handler handler = { .event = on_list, .userdata = in };
        CLEANUP_ERR struct err *err = NULL;

        /* Afresh, where the last one is resting from an API server that had no definitions. */
        kube_list_free(steal_ptr(in->list));
        if (kube_list_new(op->act.http, op->act.kube, paths[i], &handler, &in->list, &err) < 0)
            log_error("%s", err_text(err));
    }
}

static json_t *(*const definitions[])(void) = { crd_deployments, crd_devices };

static void retry_install(struct daemon *op, const struct err *why)
{
    if (!str_eq(op->install_trouble, err_text(why)))
        log_warning("waiting for the API server: %s", err_text(why));
    replace_str(&op->install_trouble, err_text(why));
    sd_event_source_set_time_relative(op->install_timer, (uint64_t)op->install_wait_ms * 1000);
    sd_event_source_set_enabled(op->install_timer, SD_EVENT_ONESHOT);
    op->install_wait_ms = op->install_wait_ms * 2 < INSTALL_RETRY_MAX_MS ? op->install_wait_ms * 2
                                                                         : INSTALL_RETRY_MAX_MS;
}

static void on_installed(const json_t *object, const struct err *failure, void *userdata)
{
    struct daemon *op = userdata;

    (void)object;
    if (failure) {
        retry_install(op, failure);
        return;
    }
    if (++op->installing < ARRAY_LEN(definitions)) {
        install(op);
        return;
    }
    op->installing = 0;
    op->installed_ms = clock_mono_ms();
    op->install_wait_ms = INSTALL_RETRY_MIN_MS;
    free(steal_ptr(op->install_trouble));
    log_info("the custom resource definitions are in place");
    start_lists(op);
}

static void install(struct daemon *op)
{
    CLEANUP_JSON json_t *definition = definitions[op->installing]();
    CLEANUP_FREE char *path = xasprintf("%s/%s?fieldManager=%s&force=true", PATH_CRDS,
                                        object_name(definition), FLEET_FIELD_MANAGER);
    CLEANUP_ERR struct err *err = NULL;

    if (kube_start(op->act.http, op->act.kube, "PATCH", path, KUBE_APPLY, definition, on_installed,
                   op, NULL, &err) < 0)
        retry_install(op, err);
}

static int on_install_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    install(userdata);
    return 0;
}

/* --- the bus ------------------------------------------------------------------------------ */

static void on_begin(void *userdata)
{
    struct input *in = userdata;

    feed(in->op, &(struct event){ .type = EVENT_BEGIN, .source = in->source });
}

static void on_end(void *userdata)
{
    struct input *in = userdata;

    feed(in->op, &(struct event){ .type = EVENT_END, .source = in->source });
}

static void on_entry(const struct bus_entry *entry, void *userdata)
{
    struct input *in = userdata;

    feed(in->op, &(struct event){ .type = EVENT_ENTRY,
                                  .source = in->source,
                                  .key = entry->key,
                                  .value = entry->value,
                                  .len = entry->len,
                                  .revision = entry->revision,
                                  .stored_ms = entry->stored_ms });
}

static void ensure_bucket(struct daemon *op, const char *name)
{
    CLEANUP_ERR struct err *err = NULL;

    if (bus_ensure_bucket(op->act.bus, name, BUCKET_TIMEOUT_MS, &err) < 0)
        log_warning("NATS: bucket %s: %s", name, err_text(err));
}

static void on_trouble(const struct err *trouble, void *userdata)
{
    struct input *in = userdata;

    log_warning("NATS: %s", err_text(trouble));
    if (err_code(trouble) == ENOENT)
        ensure_bucket(in->op, in->name);
}

static void start_watches(struct daemon *op)
{
    for (enum source i = SOURCE_DESIRED; i < SOURCES; i++) {
        struct input *in = &op->inputs[i];
        const struct bus_watch_handler handler = { .begin = on_begin,
                                                   .entry = on_entry,
                                                   .end = on_end,
                                                   .trouble = on_trouble,
                                                   .userdata = in };
        CLEANUP_ERR struct err *err = NULL;

        ensure_bucket(op, in->name);
        if (!in->watch && bus_watch_new(op->act.bus, in->name, ">", &handler, &in->watch, &err) < 0)
            log_error("NATS: %s", err_text(err));
    }
}

static void on_connected(void *userdata)
{
    struct daemon *op = userdata;

    log_info("connected to NATS");
    feed(op, &(struct event){ .type = EVENT_BUS_UP });
    start_watches(op);
}

static void on_disconnected(const char *reason, void *userdata)
{
    struct daemon *op = userdata;

    log_warning("not connected to NATS: %s", reason);
    feed(op, &(struct event){ .type = EVENT_BUS_DOWN });
}

static int connect_bus(struct daemon *op, const struct settings *settings, struct err **err)
{
    struct bus_handler handler = { on_connected, on_disconnected, op };

    log_info("connecting to NATS at %s", settings->nats.url);
    return bus_open(&settings->nats, "fleet-operator", op->loop, &handler, &op->act.bus, err);
}

/* --- all of it ---------------------------------------------------------------------------- */

static void daemon_done(struct daemon *op)
{
    for (enum source i = 0; i < SOURCES; i++) {
        kube_list_free(op->inputs[i].list);
        bus_watch_free(op->inputs[i].watch);
        free(op->inputs[i].trouble);
    }
    act_done(&op->act);
    world_done(&op->world);
    sd_event_source_disable_unref(op->timer);
    sd_event_source_disable_unref(op->install_timer);
    sd_event_unref(op->loop);
    free(op->install_trouble);
}

static int make_loop(struct daemon *op, struct err **err)
{
    static const int signals[] = { SIGTERM, SIGINT };
    int r = sd_event_new(&op->loop);

    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(signals); i++)
        r = sd_event_add_signal(op->loop, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_time(op->loop, &op->timer, CLOCK_MONOTONIC, 0, 1000, on_time, op);
    if (r >= 0)
        r = sd_event_source_set_enabled(op->timer, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(op->loop, &op->install_timer, CLOCK_MONOTONIC, 0, 1000,
                              on_install_time, op);
    return r < 0 ? err_errno(err, -r, "making the event loop") : 0;
}

static int start(struct daemon *op, const struct settings *settings, struct err **err)
{
    static const char *const names[SOURCES] = {
        [SOURCE_DEPLOYMENTS] = "Deployments",    [SOURCE_DEVICES] = "Devices",
        [SOURCE_DESIRED] = BUCKET_DESIRED_STATE, [SOURCE_INFO] = BUCKET_DEVICE_INFO,
        [SOURCE_STATE] = BUCKET_DEVICE_STATE,    [SOURCE_HEARTBEAT] = BUCKET_DEVICE_HEARTBEAT,
    };

    world_init(&op->world, settings->unreachable_after_ms);
    op->install_wait_ms = INSTALL_RETRY_MIN_MS;
    op->act.report = on_done;
    op->act.userdata = op;
    for (enum source i = 0; i < SOURCES; i++)
        op->inputs[i] = (struct input){ .op = op, .source = i, .name = names[i] };
    if (make_loop(op, err) < 0 || http_new(op->loop, &op->act.http, err) < 0)
        return -EIO;
    if ((settings->kubeconfig ? kube_load(settings->kubeconfig, &op->act.kube, err)
                              : kube_in_cluster(&op->act.kube, err)) < 0)
        return -EIO;
    log_info("using the API server at %s", op->act.kube->peer.base_url);
    return connect_bus(op, settings, err);
}

static int run(const char *path)
{
    __attribute__((cleanup(daemon_done))) struct daemon op = { 0 };
    CLEANUP(settings_free) struct settings *settings = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int r;

    act_init(&op.act);
    if (settings_load(path, &settings, &err) < 0) {
        log_error("%s", err_text(err));
        return 2;
    }
    log_set_level(settings->log_level);
    log_info("fleet-operator " FLEETRIG_VERSION " starts");
    if (start(&op, settings, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        log_error("%s", text);
        return 1;
    }
    r = sd_event_loop(op.loop);
    if (r < 0)
        log_error("the event loop failed: %s", strerror(-r));
    else
        log_info("fleet-operator ends");
    return r < 0 ? 1 : 0;
}

static int print_definitions(void)
{
    for (size_t i = 0; i < ARRAY_LEN(definitions); i++) {
        CLEANUP_JSON json_t *definition = definitions[i]();

        printf("---\n");
        json_dumpf(definition, stdout, JSON_INDENT(2));
        printf("\n");
    }
    return 0;
}

static int on_command(const struct verbs_args *args, void *userdata)
{
    const char *config = verbs_value(args, "config");

    (void)userdata;
    if (args->n_positional == 0)
        return run(config ? config : SETTINGS_PATH);
    if (str_eq(args->positional[0], "crds"))
        return print_definitions();
    fprintf(stderr, "fleet-operator: '%s' is not a command; there is one: crds\n",
            args->positional[0]);
    return 2;
}

static const struct verbs_option options[] = {
    { .name = "config",
      .letter = 'c',
      .value = "FILE",
      .help = "settings file (" SETTINGS_PATH ")" },
    { 0 },
};

static const struct verbs_command commands[] = {
    { .name = "",
      .arguments = "[crds]",
      .max = 1,
      .help = "run until a signal ends it",
      .details =
              "Watches Deployment and Device objects of the Kubernetes API, writes the desired "
              "state of every device to NATS, and folds what the devices report into the "
              "objects' status. It waits for the API server and for NATS as long as it takes.\n\n"
              "\"fleet-operator crds\" prints the custom resource definitions, for \"kubectl "
              "apply -f -\"; the operator also installs and updates them by itself.",
      .options = options,
      .complete = "none",
      .run = on_command },
    { 0 },
};

int main(int argc, char **argv)
{
    static const struct verbs_program program = {
        .name = "fleet-operator",
        .version = FLEETRIG_VERSION,
        .summary = "brings deployments to the devices of a fleet",
        .exit_codes = "0 ended by a signal; 1 could not start or go on; 2 wrong usage or settings",
        .commands = commands,
    };

    return verbs_main(&program, argc, argv, NULL);
}
