/* SPDX-License-Identifier: AGPL-3.0-only */
#include "base/clock.h"
#include "fleet/link/bus.h"
#include <unistd.h>
