/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* How a person looks into a lab that stands: what to call, and a shell to call it from. */

#include <signal.h>

#include "rig/lab/lab.h"
#include "rig/run/progress.h"
#include "rig/scenario/scenario.h"

struct inside {
    struct lab *lab;    /* NULL: it did not get that far */
    const char *folder; /* of the run */
    const struct scenario *scenario;
    struct progress *progress;
};

/* Whether there is a terminal that a shell can have. */
bool inside_has_terminal(void);
/* Writes FOLDER/lab/ssh_config, a Host for each device, and tells what to call. */
void inside_tell(const struct inside *in);
/* $SHELL in the run's folder with KUBECONFIG, FLEETRIG_RUN and FLEETRIG_SSH_CONFIG; returns when it is
 * left, or `stop` is set. */
void inside_shell(const struct inside *in, const volatile sig_atomic_t *stop);

/* The text of an ssh_config(5); `ports` belong to the devices of the same index, 0: it has none. Pure. */
void inside_ssh_config(const struct scenario *scenario, const uint16_t *ports, const char *key,
                       struct buf *out);
