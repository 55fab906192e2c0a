/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What the agent believes: which deployments this device shall run, which containers podman has, and
 * what went wrong lately. Pure data; time arrives with each event. Everything but the desired state
 * itself can be lost at any moment: what is to be done follows from the desired state and from what
 * podman lists (decide.h).
 *
 * A deployment ends by a delete marker for its key, and by nothing else: a key that is merely absent
 * may have been lost with its bucket. So a workload is wanted (a value came), doomed (a marker came),
 * or an orphan: there are containers of it and nobody said anything. Orphans are left alone and
 * reported, so that the operator can say what shall become of them.
 *
 * A deployment's container for a service is called "<deployment>.<service>"; while it is being
 * replaced, the new one is "<deployment>.<service>.next". Neither name contains a dot, so these are
 * unique.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "fleet/agent/digest.h"
#include "fleet/wire/device.h"
#include "fleet/wire/score.h"

enum run_state {
    RUN_CREATED, /* never started */
    RUN_RUNNING,
    RUN_EXITED,
    RUN_PAUSED,
    RUN_BROKEN,  /* podman cannot say what it is */
    RUN_CHANGING /* stopping, removing, ...: podman is at it */
};

/* One of our containers as podman listed it. */
struct observed {
    char *name, *deployment, *service, *spec;
    enum run_state state;
    int exit_code;
    bool interrupted; /* exited, but not by itself: the machine went down */
};

/* One service of a deployment: what it shall be, and how that goes. */
struct task {
    const struct service *service; /* in the workload's score */
    char *current, *next;          /* names of containers */
    char spec[DIGEST_TEXT];        /* identity of the wanted container */
    bool image_present;            /* as podman said since the last creation */
    bool image_missing;            /* the same; a pull may help */
    unsigned failed_starts;        /* of the wanted container, in a row */
    char *failure;                 /* why it is not as wanted; NULL: nothing is wrong */
    unsigned attempts;             /* failures in a row */
    int64_t retry_ms;              /* not before this is the goal tried again */
    int64_t pause_ms;              /* not before this is anything done at all */
};

enum action_kind {
    ACTION_NONE,
    ACTION_CHECK_IMAGE,
    ACTION_PULL,
    ACTION_CREATE,
    ACTION_START,
    ACTION_STOP,
    ACTION_REMOVE,
    ACTION_RENAME, /* `container` to the task's current name */
    ACTION_FORGET  /* nothing is left: delete the state key and the stored copy */
};

struct action {
    enum action_kind kind;
    struct task *task;     /* NULL when it is about a container that no service wants */
    const char *container; /* name; borrowed from the task or from the observed container */
};

/* One deployment. */
struct workload {
    char *name;
    bool wanted;
    bool orphan; /* neither: it is doomed, to be torn down and forgotten */
    char *bytes; /* of the score, as received; NULL when it was never wanted */
    size_t len;
    char *bad; /* why the score cannot be decoded; its containers are left alone */
    struct score score;
    struct task *tasks;
    size_t n_tasks;
    bool seen;   /* in the snapshot that is coming in */
    bool missed; /* not in the last one, although it is wanted */

    bool busy; /* an action is under way; it holds `acting` */
    struct action acting;
    char *acting_on;     /* what `acting.container` points to */
    unsigned fresh_from; /* the first listing that shows what the last action did */
    char *unstored;      /* why the durable copy is behind; NULL: it is not */
    char *failure;       /* of what belongs to no task: tearing down */
    unsigned attempts;
    int64_t pause_ms;

    /* As reported. */
    bool has_state;
    enum phase phase;
    char *error;
    int64_t event_ms; /* when phase or error changed last */
};

struct world {
    struct workload **workloads; /* sorted by name */
    size_t n_workloads, cap_workloads;
    struct observed *observed; /* sorted by name */
    size_t n_observed;
    unsigned listings;        /* started so far */
    unsigned listed;          /* the number of the listing that `observed` is from; 0: none yet */
    struct map deleted;       /* deployments with a delete marker; a set */
    bool in_snapshot;         /* one is coming in */
    bool knows_all;           /* a whole snapshot of the desired state was seen */
    char *podman_failure;     /* why the last listing failed; NULL: it did not */
    int64_t podman_failed_ms; /* since when */
    int64_t tick_ms;          /* base of the back-off */
};

void world_done(struct world *w);

/* NULL when it is not known. */
struct workload *world_find(const struct world *w, const char *deployment);
const struct observed *world_container(const struct world *w, const char *name);

/* The desired state of a deployment. False when nothing changed: the bytes are those that are known.
 * A score that cannot be decoded is taken note of. */
bool world_want(struct world *w, const char *deployment, const char *bytes, size_t len);
/* A delete marker. False when nothing follows from it: the workload is doomed already; or there is
 * none, and the marker is one of a snapshot, which brings all that ever were. One that comes alone is
 * about something: a workload is made for it, so that its state is deleted. */
bool world_unwant(struct world *w, const char *deployment);

/* A snapshot of the desired state: begin, world_saw() for each value, end. At the end `kept` is
 * called for each workload that is wanted and was in the snapshot before, but is not in this one. */
void world_snapshot_begin(struct world *w);
void world_saw(struct world *w, const char *deployment);
void world_snapshot_end(struct world *w, void (*kept)(const char *deployment, void *userdata),
                        void *userdata);

/* A listing starts; returns its number. */
unsigned world_listing(struct world *w);
/* Its outcome. Takes over `items`, in any order. After a whole snapshot, workloads are made for
 * deployments that only containers know of: doomed ones where there is a delete marker, else
 * orphans. */
void world_observe(struct world *w, unsigned listing, struct observed *items, size_t n);
void world_podman_failed(struct world *w, const char *reason, int64_t now_ms);

/* Drops a workload. */
void world_forget(struct world *w, const char *deployment);

/* How long to wait before attempt `n` (from 0) is made again. */
int64_t world_backoff_ms(const struct world *w, unsigned attempts);

void observed_done(struct observed *o);
