/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What this machine is. What cannot be found out is left unknown. */

#include "fleet/wire/device.h"

void inventory_read(struct inventory *ret);
