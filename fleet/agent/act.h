/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The agent at work on a loop: events in, actions out. */

#include <systemd/sd-event.h>

#include "base/err.h"
#include "fleet/agent/settings.h"
#include "fleet/wire/labels.h"

struct agent;

/* The labels of the settings with device-id; refuses a bad device id or label. */
int agent_labels(const struct settings *settings, struct labels *ret, struct err **err);

/* Loads the durable desired state, starts to reconcile and to connect. `settings` must outlive it. */
int agent_new(const struct settings *settings, sd_event *loop, struct agent **ret,
              struct err **err);
/* Leaves all containers as they are. */
void agent_free(struct agent *a);
DEFINE_CLEANUP(struct agent *, agent_free)
