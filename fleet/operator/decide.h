/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What the operator does: world + event -> actions. Pure: time arrives in the event, and what came
 * of an action is an event again.
 *
 * Theory of operation. An event changes what the world believes and queues what may have to follow
 * from it (cells, deployments, devices); then everything that is queued is compared with what it
 * should be, and the differences become actions. So nothing is done twice, a lost or failed action
 * is simply a difference that is still there, and the order in which sources speak does not matter.
 *
 * Two gates keep a restart from flapping. Desired state is not touched before the Deployments, the
 * Devices, device-info and desired-state have each been listed wholly once; the status of
 * Deployments not before device-state has been, too. What a later list no longer holds is gone when
 * that list is whole, not before.
 *
 * A Deployment whose spec cannot be used changes nothing on its devices: what runs goes on running.
 *
 * Devices tear down only what has a delete marker in desired-state (docs/adr/0007), and markers can
 * be lost with the bucket. So for what a device reports, that nothing wants of it and of which the
 * bucket has neither value nor marker, a marker is written: once, only while nothing is being listed,
 * and after the device has told its labels, so that no Deployment is overlooked.
 */

#include "base/err.h"
#include "fleet/operator/world.h"

enum event_type {
    EVENT_BEGIN,  /* `source`: a full list follows */
    EVENT_END,    /* `source`: it is whole */
    EVENT_OBJECT, /* SOURCE_DEPLOYMENTS, SOURCE_DEVICES: `object` is there, or was changed */
    EVENT_GONE,   /* the same: `object` was deleted */
    EVENT_ENTRY,  /* the buckets: `key`, `value` (NULL: deleted), `revision`, `stored_ms` */
    EVENT_DONE,   /* an action of type `action` on `target` ended; `object` as it is now */
    EVENT_BUS_UP,
    EVENT_BUS_DOWN,
    EVENT_TIME /* nothing but time passed */
};

enum action_type {
    ACTION_WRITE,         /* desired-state: `target` is the key, `value` its bytes */
    ACTION_DELETE,        /* desired-state: `target` is the key */
    ACTION_DEPLOYMENT,    /* merge patch `body` for "namespace/name" */
    ACTION_STATUS,        /* the same for its status */
    ACTION_DEVICE,        /* server-side apply of `body`, a Device */
    ACTION_DEVICE_STATUS, /* merge patch `body` for the status of Device `target` */
    ACTION_LOG,           /* `text` for people; `is_warning` */
};

/* Everything borrowed for the call. */
struct event {
    enum event_type type;
    enum source source;
    int64_t mono_ms, wall_ms; /* now */

    const json_t *object;

    const char *key, *value;
    size_t len;
    uint64_t revision;
    int64_t stored_ms;

    enum action_type action;
    const char *target;
    const struct err *failure; /* NULL: it succeeded */
};

struct action {
    enum action_type type;
    char *target;
    const char *value; /* borrowed from the world until the next event */
    json_t *body;
    char *text;
    bool is_warning;
};

struct actions {
    struct action *items;
    size_t n, cap;
};

void actions_done(struct actions *a);

/* Appends what is to be done now. */
void decide(struct world *w, const struct event *event, struct actions *actions);

/* When decide() wants to be called again even if nothing happens; monotonic, INT64_MAX for never. */
int64_t decide_next_ms(const struct world *w);
