/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What the operator believes: open structs, no decisions. A world is fed by decide.h.
 *
 * A cell is one pair of device and deployment name, the unit of everything that is counted or
 * written: what its desired-state key shall hold, what it holds, and what the device reports. A
 * device and a name exist here as soon as anything mentions them, so that events may come in any
 * order; they go when nothing mentions them any more.
 *
 * A name is what deployments are called on devices. Deployments of one name in several namespaces
 * contend for it; the oldest owns it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "fleet/wire/device.h"
#include "fleet/wire/resource.h"

/* Bytes that many keys hold, kept once: equal blobs are the same blob. */
struct blob {
    size_t refs;
    char text[];
};

/* What a cell adds to the counts of its deployment. */
enum tally { TALLY_NONE, TALLY_PENDING, TALLY_SUCCEEDED, TALLY_FAILED, TALLIES };

/* When something that failed is tried again: after 1 s, doubling to 30 s. */
struct retry {
    int64_t due_ms;  /* monotonic */
    int64_t wait_ms; /* of the last pause; 0 when the last try succeeded */
};

struct name;
struct device;

struct cell {
    char *key; /* "<device>.<deployment>", of the desired-state bucket */
    struct device *device;
    struct name *name;
    bool matched; /* the owner's selector matches the device */

    struct blob *want; /* NULL: no key */
    struct blob *have; /* as the bucket's watch said last; NULL: no key */
    struct blob *sent; /* being written (NULL: deleted) while `flying` */
    bool flying;       /* from sending until the watch has shown it */
    bool acked;        /* the server has acknowledged it */
    unsigned have_epoch;

    bool reported;
    enum phase phase;
    int64_t phase_at_ms;
    char *error;
    unsigned report_epoch;

    enum tally tally; /* as counted in name->counts */
    bool unsettled;   /* as counted in name->unsettled */
    bool keep;        /* scratch mark of match_name() and match_device() */
    struct retry retry;
    struct list_link in_name, in_device, in_dirty, in_failed;
};

struct name {
    char *name;
    struct list cells;
    struct list contenders; /* struct dep, all of this name */
    struct dep *owner;      /* NULL: nobody; its keys go */
    size_t counts[TALLIES];
    struct list failed; /* cells that count as failed, the newest report last */
    size_t unsettled;   /* cells whose key is not known to hold, or be marked, as it shall */
    unsigned pins;      /* walks that are under way: it stays although nothing mentions it */
};

/* A Deployment object. */
struct dep {
    char *key; /* "namespace/name" */
    struct deployment object;
    uint64_t version;   /* resourceVersion */
    json_t *finalizers; /* metadata.finalizers, an array */
    char *invalid;      /* why its spec cannot be used; NULL: it can */
    struct blob *score;
    struct name *name;
    unsigned epoch;

    bool flying; /* a request about it is under way */
    struct retry retry;
    int64_t patched_ms; /* when its status was written last */
    struct list_link in_name, in_todo;
};

enum reach {
    REACH_UNDECIDED, /* nothing heard, nothing known */
    REACH_LATE,      /* silent when we came: false, unless it was true before; then we wait */
    REACH_TRUE,
    REACH_FALSE
};

struct device {
    char *id;
    struct list cells;

    /* device-info */
    bool has_info;
    struct labels labels;
    char *inventory; /* JSON, sorted */
    char *info_version;
    unsigned info_epoch;

    /* The Device object */
    bool has_object;
    uint64_t version;
    struct labels applied; /* labels that we gave it */
    char *applied_inventory;
    json_t *status; /* NULL when none */
    unsigned object_epoch;

    /* device-heartbeat */
    bool heard;
    uint64_t beat_revision;
    int64_t beat_stored_ms; /* wall clock of the server */
    char *beat_version;
    enum reach reach;
    int64_t since_ms; /* monotonic: when we heard it last, or began to wait for it */
    bool skewed;
    int64_t skew_ms; /* as in the condition: at - stored */
    struct list_link in_alive;

    bool flying;
    struct retry retry;
    struct list_link in_todo;
    unsigned pins;
};

enum source { /* where events come from */
              SOURCE_DEPLOYMENTS,
              SOURCE_DEVICES,
              SOURCE_DESIRED,
              SOURCE_INFO,
              SOURCE_STATE,
              SOURCE_HEARTBEAT,
              SOURCES
};

struct world {
    int64_t unreachable_after_ms;

    struct map cells;   /* key -> struct cell */
    struct map names;   /* name -> struct name */
    struct map deps;    /* namespace/name -> struct dep */
    struct map devices; /* id -> struct device */
    struct map blobs;   /* text -> struct blob */
    struct map bad;     /* "bucket key" -> revision of the corrupt message that was told */
    struct map deleted; /* keys of desired-state with a delete marker -> epoch it was seen in */

    bool whole[SOURCES];     /* has been listed wholly once */
    bool listing[SOURCES];   /* a full list is under way, or due */
    unsigned epoch[SOURCES]; /* number of full lists begun */
    bool open;               /* enough is known to change desired state */
    bool bus_up;

    /* To be looked at now, and those that wait until the earliest of them is due. */
    struct list dirty, todo_deps, todo_devices;
    struct list later_dirty, later_deps, later_devices;
    int64_t later_ms;
    /* Devices that time may turn unreachable, the most silent first. */
    struct list alive;
    size_t writing, calling; /* requests under way: to the bus, to the API server */
};

void world_init(struct world *w, int64_t unreachable_after_ms);
void world_done(struct world *w);

/* The blob of `text`, with a reference for the caller. NULL for NULL. */
struct blob *blob_get(struct world *w, const char *text);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct world *w, struct blob *b);
/* Stores `b` in *dst, with a reference of its own. */
void blob_set(struct world *w, struct blob **dst, struct blob *b);

/* Each is made when it is not there. */
struct name *world_name(struct world *w, const char *name);
struct device *world_device(struct world *w, const char *id);
struct cell *world_cell(struct world *w, struct device *device, struct name *name);
struct cell *world_cell_of(struct world *w, const char *device, const char *name);

/* Does anything but its cells speak for the device? */
static inline bool device_known(const struct device *d)
{
    return d->has_info || d->has_object;
}

/* The labels that selectors see: those of its info, else those that its object got from it. */
static inline const struct labels *device_labels(const struct device *d)
{
    return d->has_info ? &d->labels : &d->applied;
}

/* A name whose owner cannot be understood keeps what there is. */
static inline bool name_frozen(const struct name *n)
{
    return n->owner && n->owner->invalid;
}

/* What the key holds as far as we know: what was acknowledged counts. */
static inline struct blob *cell_holds(const struct cell *c)
{
    return c->flying && c->acked ? c->sent : c->have;
}

/* A device tears a deployment down only when the key has a delete marker. Does this key need one: is
 * something reported that nothing wants, although the bucket says nothing about it? False as long as
 * anything is being listed, and before the device has told its labels. */
bool cell_needs_marker(const struct world *w, const struct cell *c);

/* The bucket has a delete marker for `key`, or has none any more. */
void world_mark_deleted(struct world *w, const char *key, bool deleted);

/* To be called after any change of a cell: counts it, queues it when its key must change, and frees
 * it when nothing is left of it. */
void cell_refresh(struct world *w, struct cell *c);

/* Queue it to be looked at; what waits for its time goes on waiting. */
void dep_touch(struct world *w, struct dep *dep);
void device_touch(struct world *w, struct device *d);
/* What there is to say about the owner of a name may have changed. */
void name_touch(struct world *w, struct name *n);

/* Each goes when nothing mentions it any more. */
void world_drop_name(struct world *w, struct name *n);
void world_drop_device(struct world *w, struct device *d);
void world_drop_dep(struct world *w, struct dep *dep);
