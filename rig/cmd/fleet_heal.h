/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What is left of fleets whose keepers died, and open faults of those that live. */

#include "rig/cmd/fleet.h"
#include "rig/lab/heal.h"

/* Takes back what the lab of a dead fleet left, by its ledger, and empties its folder but for the
 * lock, which must be held. `told` may be NULL. */
int fleet_heal(const struct fleet *f, heal_told *told, void *userdata, struct err **err);

/* All fleets: of dead ones everything goes, living ones take their open faults back. With `dry` it is
 * only told. *ret_n is grown by how much there was. Goes on after what cannot be done. */
int fleets_heal(const struct place *place, bool dry, heal_told *told, void *userdata, size_t *ret_n,
                struct err **err);
