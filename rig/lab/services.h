/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The service host of the embedded control plane: services of scores as children of a supervisor.
 * Used through supervisor_service_host(). */

#include "fleet/deploy/capability.h"
#include "rig/lab/supervisor.h"

struct services;
struct lossy;

/* `s` is borrowed. */
struct services *services_new(struct supervisor *s, const char *dir);
void services_free(struct services *all);

/* Owned by `all`. NULL for `devices_see` leaves what was said before. */
const struct service_host *services_host(struct services *all, const char *devices_see);
/* Durable folders of services of these names (NULL-terminated, copied) lie on a disk that can lose
 * unsynced writes. To be said before they are ensured. */
void services_lossy(struct services *all, const char *const *names);
bool services_is_lossy(const struct services *all, const char *name);
/* Its disk, which lives as long as it. -ENOTSUP when that is an ordinary one. */
int services_disk(const struct services *all, const char *name, struct lossy **ret,
                  struct err **err);
/* Waits until a service that was started just now is ready; a name that is no service is. */
int services_started(struct services *all, const char *name, struct err **err);
