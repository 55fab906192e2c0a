/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Carries actions out: writes to the bus, patches through the API server, log lines. What came of
 * one is reported as an EVENT_DONE on the loop. */

#include "fleet/link/bus.h"
#include "fleet/link/kube.h"
#include "fleet/operator/decide.h"

struct act {
    struct http *http;
    struct kube *kube;
    struct bus *bus;
    struct list errands; /* what is under way */
    /* type, source and times are the receiver's to fill in. */
    void (*report)(struct event *done, void *userdata);
    void *userdata;
};

void act_init(struct act *a);
/* Frees the three links, and forgets what is under way. */
void act_done(struct act *a);

/* Starts it. A failure means that it was not started, and nothing will be reported. */
int act_start(struct act *a, const struct action *action, struct err **err);
