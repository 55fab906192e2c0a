/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What this host has to offer to labs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MiB that new machines may take now: what the kernel calls available (proc(5), MemAvailable), or what
 * is left below the limit of our control group when that is less. FLEETRIG_MEMORY_MB, an environment
 * variable, says less than there is: to leave some for others, or to see what a small host would do. */
int64_t host_memory_mb(void);
/* Processors that we may run on. */
size_t host_cores(void);

/* Where the rig keeps things; borrowed. */
struct host_places {
    const char *root;  /* the folder with images/ */
    const char *cache; /* $XDG_CACHE_HOME/fleetrig */
};

/* Whether this host has what a scenario may need: "kvm", "aarch64", "podman", "k3d", "root", "fuse". *ret_why
 * says in a few words what was found, in either case; the caller frees it. Asks the programs
 * themselves, which takes up to a second. */
bool host_has(const struct host_places *places, const char *need, char **ret_why);
