/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The service host of the embedded control plane: services of scores as children of a supervisor.
 * Used through supervisor_service_host(). */

#include "fleet/deploy/capability.h"
#include "rig/lab/supervisor.h"

struct services;

/* `s` is borrowed. */
struct services *services_new(struct supervisor *s, const char *dir);
void services_free(struct services *all);

/* Owned by `all`. NULL for `devices_see` leaves what was said before. */
const struct service_host *services_host(struct services *all, const char *devices_see);
/* Waits until a service that was started just now is ready; a name that is no service is. */
int services_started(struct services *all, const char *name, struct err **err);
