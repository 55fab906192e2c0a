/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What the platform itself says, whatever a scenario asks: Reachable of every Device, the aggregate
 * of every Deployment, every deployment's state as its agent reports it. Each change is told once.
 * It has a thread and connections of its own, tells nothing while servers are down and goes on when
 * they are back; what it cannot see is not told. It never makes a run fail.
 */

#include "base/cleanup.h"
#include "rig/lab/event.h"

struct observer_config { /* all copied */
    const char *kubeconfig;
    const char *nats_url, *user, *password;
    lab_on_event *tell; /* LAB_STATE, on the observer's thread */
    void *userdata;
};

struct observer;

/* NULL when no thread can be had. */
struct observer *observer_new(const struct observer_config *config);
/* Ends the thread; nothing is told any more once it returns. */
void observer_free(struct observer *o);
DEFINE_CLEANUP(struct observer *, observer_free)
