/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What this host can provide for labs, fact by fact, and what to do for the rest. */

#include "rig/lab/host.h"

enum host_state {
    HOST_GOOD,
    HOST_LESS,    /* labs run without it, slower or fewer of them */
    HOST_MISSING, /* no lab runs without it */
};
const char *host_state_text(enum host_state state); /* "good", "less", "missing" */

struct host_fact {
    const char *name; /* "KVM" */
    enum host_state state;
    char *found;  /* "10.0.2" */
    char *advice; /* what to do; NULL when it is good */
};

struct host_question { /* borrowed */
    struct host_places places;
    const char *runs_dir;    /* where labs would be */
    const char *programs;    /* the folder of our own programs */
    const char *libvirt_uri; /* NULL: choose */
    int64_t memory_mb;       /* of a device */
    int64_t needed_mb;       /* by a lab of one device, all together */
};

/* Asks for all of them, which takes a second or two. The caller frees them with host_facts_done(). */
void host_facts(const struct host_question *q, struct host_fact **ret, size_t *ret_n);
void host_facts_done(struct host_fact *facts, size_t n);
