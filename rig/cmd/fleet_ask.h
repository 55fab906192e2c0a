/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Asking a keeper (rig/cmd/fleet_wire.h). */

#include <signal.h>

#include "rig/cmd/fleet.h"
#include "rig/cmd/fleet_wire.h"
#include "rig/run/progress.h"

/* Sends the request and shows what comes as progress, until the last answer, which the caller frees.
 * Once `stop` is set the request is taken back and the last answer waited for; set again, that is
 * given up (-ECANCELED). -EPIPE: the keeper went away. -ETIMEDOUT: it did not answer in `timeout_ms`;
 * 0: for ever. */
int fleet_ask(const struct fleet *f, const struct request *request, int64_t timeout_ms,
              struct progress *progress, const volatile sig_atomic_t *stop, struct answer *ret,
              struct err **err);
