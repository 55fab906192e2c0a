/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

#include "rig/scenario/scenario.h"

/* The servers whose disks must be able to lose what was not synced, since the scenario says so: for
 * lab_config.lossy. An strv, NULL for none; the caller frees it. */
char **disk_lossy(const struct scenario *s);
