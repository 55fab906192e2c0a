/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. One thread, one loop. Three sources of events: the desired state
 * (act_desired.c), podman (act_podman.c), and time: the tick compares podman with what is desired,
 * whatever else did or did not happen. Each event changes the world and ends in agent_reconsider(),
 * which asks decide.c what to do for each workload and what to report (act_report.c).
 *
 * Nothing waits for the network: workloads are started from the durable copy, before or without a
 * connection.
 */

#include "fleet/agent/act.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/agent/act_state.h"
#include "fleet/agent/footprint.h"
#include "fleet/wire/names.h"

#define MAX_JOBS 4     /* podman serialises most of it anyway */
#define FIRST_TRIM 1   /* at this tick starting up is over */
#define TRIM_EVERY 128 /* ticks */

void agent_timer(struct agent *a, sd_event_source **timer, int64_t ms, sd_event_time_handler_t fn)
{
    uint64_t usec = (uint64_t)ms * 1000;
    int r;

    if (!*timer)
        r = sd_event_add_time_relative(a->loop, timer, CLOCK_MONOTONIC, usec, 0, fn, a);
    else if ((r = sd_event_source_set_time_relative(*timer, usec)) >= 0)
        r = sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
    if (r < 0)
        abort(); /* an agent without its tick is none */
}

void agent_reconsider(struct agent *a)
{
    struct world *w = &a->world;

    for (size_t i = 0; i < w->n_workloads; i++) {
        struct workload *l = w->workloads[i];
        struct action action;

        if (decide_state(w, l, clock_wall_ms()))
            agent_report_state(a, l);
        if (a->n_jobs >= MAX_JOBS)
            continue;
        action = decide_next(w, l, clock_wall_ms());
        if (action.kind == ACTION_NONE ||
            (action.kind == ACTION_FORGET && !agent_report_may_forget(a, l)))
            continue;
        agent_carry_out(a, l, &action);
        if (decide_state(w, l, clock_wall_ms()))
            agent_report_state(a, l);
    }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct agent *a = userdata;

    (void)source, (void)usec;
    a->ticks++;
    if (a->ticks == FIRST_TRIM || a->ticks % TRIM_EVERY == 0)
        footprint_trim();
    agent_store_again(a);
    agent_report_again(a);
    agent_list(a);
    agent_reconsider(a);
    agent_timer(a, &a->tick, a->settings->tick_ms, on_tick);
    return 0;
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct agent *a = userdata;

    (void)source, (void)usec;
    agent_report_heartbeat(a);
    agent_timer(a, &a->heartbeat, a->settings->heartbeat_ms, on_heartbeat);
    return 0;
}

static void on_connected(void *userdata)
{
    struct agent *a = userdata;

    log_info("connected to %s", a->settings->nats.url);
    agent_report_connected(a);
    agent_reconsider(a);
}

static void on_disconnected(const char *reason, void *userdata)
{
    (void)userdata;
    log_warning("no connection: %s; will try again", reason);
}

static int connect_bus(struct agent *a, struct err **err)
{
    CLEANUP_FREE char *name = xasprintf("fleet-agent-%s", a->settings->device_id);
    struct bus_handler handler = { on_connected, on_disconnected, a };
    int r = bus_open(&a->settings->nats, name, a->loop, &handler, &a->bus, err);

    return r < 0 ? r : agent_watch(a, err);
}

int agent_labels(const struct settings *settings, struct labels *ret, struct err **err)
{
    struct labels l = { 0 };
    int r = device_id_check(settings->device_id, err);

    if (r < 0)
        return err_wrap(err, "device_id");
    for (unsigned i = 0; i < settings->labels_count && r >= 0; i++) {
        const char *text = settings->labels[i], *equals = strchr(text, '=');
        CLEANUP_FREE char *key = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;

        if (!equals)
            r = err_new(err, EINVAL, "label '%s': not KEY=VALUE", text);
        else if ((r = label_check(key, equals + 1, err)) < 0)
            err_wrap(err, "label '%s'", text);
        else
            labels_set(&l, key, equals + 1);
    }
    labels_set(&l, "device-id", settings->device_id);
    if (r < 0)
        labels_done(&l);
    else
        *ret = l;
    return r;
}

int agent_new(const struct settings *settings, sd_event *loop, struct agent **ret, struct err **err)
{
    CLEANUP(agent_free) struct agent *a = xcalloc(1, sizeof(*a));
    int r;

    LIST_INIT(&a->jobs);
    a->settings = settings;
    a->loop = sd_event_ref(loop);
    a->world.tick_ms = settings->tick_ms;
    r = agent_labels(settings, &a->labels, err);
    if (r >= 0)
        r = agent_load(a, err);
    if (r >= 0)
        r = http_new(loop, &a->http, err);
    if (r >= 0)
        r = podman_new(a->http, settings->podman_socket, &a->podman, err);
    if (r >= 0)
        r = connect_bus(a, err);
    if (r < 0)
        return r;
    agent_list(a);
    agent_timer(a, &a->tick, settings->tick_ms, on_tick);
    agent_timer(a, &a->heartbeat, settings->heartbeat_ms, on_heartbeat);
    *ret = steal_ptr(a);
    return 0;
}

void agent_free(struct agent *a)
{
    if (!a)
        return;
    bus_watch_free(a->watch);
    bus_free(a->bus);
    podman_free(a->podman);
    http_free(a->http);
    agent_drop_jobs(a);
    agent_drop_reports(a);
    store_free(a->store);
    world_done(&a->world);
    labels_done(&a->labels);
    free(a->info);
    sd_event_source_disable_unref(a->tick);
    sd_event_source_disable_unref(a->heartbeat);
    sd_event_source_disable_unref(a->list_retry);
    sd_event_unref(a->loop);
    free(a);
}
