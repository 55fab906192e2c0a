/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Status objects as they should be, and the patch that makes the known ones so. Pure. Conditions
 * follow Kubernetes' convention: lastTransitionTime moves only when status does. Conditions of types
 * that are not ours are kept.
 *
 * A Deployment has two: Accepted (its spec can be used and its name is its own) and Ready (every
 * device that it matches reports that it runs). A Device has two: Reachable (heartbeats arrive) and
 * ClockSkew (its clock differs from the server's).
 */

#include "fleet/operator/world.h"

#define SKEW_MAX_MS 30000

/* The merge patch that makes the known status so; NULL when there is nothing to change. New
 * references. */
json_t *status_of_dep(const struct dep *dep, int64_t wall_ms);
json_t *status_of_device(const struct device *d, int64_t wall_ms);

/* The status and the message of condition `type` in `status`, or NULL. Borrowed. */
const char *condition_status(const json_t *status, const char *type);
const char *condition_message(const json_t *status, const char *type);
