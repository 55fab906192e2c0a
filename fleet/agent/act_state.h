/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Internal to act*.c: the agent and what its parts call of each other. */

#include <sys/queue.h>

#include "base/map.h"
#include "fleet/agent/act.h"
#include "fleet/agent/decide.h"
#include "fleet/agent/store.h"
#include "fleet/link/bus.h"
#include "fleet/link/podman.h"

struct job;

struct agent {
    const struct settings *settings;
    sd_event *loop;
    struct world world;
    struct store *store;

    /* act_podman.c */
    struct http *http;
    struct podman *podman;
    LIST_HEAD(, job) jobs; /* under way */
    unsigned n_jobs;
    unsigned listing; /* the number of the one under way; 0: none */
    bool list_again;
    unsigned list_failures; /* in a row */
    sd_event_source *list_retry;

    /* act_desired.c */
    struct bus *bus;
    struct bus_watch *watch;

    /* act_report.c */
    struct labels labels;
    struct map reports; /* deployment -> struct report */
    char *info;         /* DeviceInfo as it was encoded last */
    int64_t info_ms;    /* its updated_at */
    bool info_unsent;
    bool heartbeat_failed;

    sd_event_source *tick, *heartbeat;
    unsigned ticks;
};

/* act.c: after anything changed. */
void agent_reconsider(struct agent *a);
/* Arms *timer (made at the first call) to call `fn` once in `ms`. */
void agent_timer(struct agent *a, sd_event_source **timer, int64_t ms, sd_event_time_handler_t fn);

/* act_podman.c */
/* Lists the containers, again when it is doing so already. */
void agent_list(struct agent *a);
void agent_carry_out(struct agent *a, struct workload *l, const struct action *action);
void agent_drop_jobs(struct agent *a);
/* Ends the action of `l` that no job stands for. */
void agent_action_ended(struct agent *a, struct workload *l, enum outcome outcome,
                        const struct err *failure);

/* act_desired.c */
int agent_load(struct agent *a, struct err **err);
int agent_watch(struct agent *a, struct err **err);
/* Stores what could not be stored. */
void agent_store_again(struct agent *a);

/* act_report.c */
void agent_report_connected(struct agent *a);
void agent_report_heartbeat(struct agent *a);
/* All states again. */
void agent_report_states(struct agent *a);
/* The state of `l` changed. */
void agent_report_state(struct agent *a, const struct workload *l);
/* Deletes the state of `l` and forgets it; ends its action. */
void agent_report_forget(struct agent *a, struct workload *l);
/* True when agent_report_forget() can be tried now. */
bool agent_report_may_forget(const struct agent *a, const struct workload *l);
/* What failed before, and DeviceInfo when it changed. */
void agent_report_again(struct agent *a);
void agent_drop_reports(struct agent *a);
