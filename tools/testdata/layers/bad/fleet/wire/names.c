/* SPDX-License-Identifier: AGPL-3.0-only */
#include "names.h"
#include "fleet/link/bus.h"
#include <sys/socket.h>
