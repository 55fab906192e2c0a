/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The keeper of a fleet: a process in the background that owns the lab as a run does. What it started
 * ends with it, whatever ends it (docs/adr/0004); it ends with "down", with TERM, and when whoever
 * called for it leaves before the fleet is up.
 */

#include "rig/cmd/fleet.h"
#include "rig/cmd/settings.h"
#include "rig/lab/lab.h"

struct keeper_config {
    const struct place *place;
    const struct settings *settings;
    struct fleet *fleet; /* locked, and its folder empty */
    const struct lab_device *devices;
    size_t n_devices;
};

/* Starts it: a child in a session of its own, whose output goes to keeper.log. Returns once it listens;
 * the lock is its own then. */
int keeper_start(const struct keeper_config *config, struct err **err);
