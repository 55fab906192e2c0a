/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What people read of a fleet that stays up. Pure. */

#include "base/buf.h"
#include "rig/cmd/fleet_state.h"

/* After `rig up`: where everything is, and how to look at it. */
void fleet_summary(const char *name, const struct fleet_state *s, struct buf *out);

/*
 * Tables of `rig status`, from the document that `rig status -o json` prints:
 *     { fleet, phase, pid, began_wall_ms, busy?, busy_ms?, trouble?, kubernetes_trouble?,
 *       components: [{ name, pid (0: does not run), up_ms?, memory_kib?, log }],
 *       devices: [{ name, power, linked, since_wall_ms, ssh_port, labels, reachable?, agent?, boot? }],
 *       deployments: [{ name, namespace, matched, succeeded, failed, pending, error? }],
 *       faults: [{ sentence, since_wall_ms }] }
 * Members with "?" may be absent: they are not known then. `now_wall_ms` is the time it is made for.
 */
void fleet_status_text(const json_t *status, int64_t now_wall_ms, struct buf *out);
