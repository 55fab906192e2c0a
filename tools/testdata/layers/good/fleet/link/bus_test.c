/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/testing/servers.h"
#include <nats/nats.h>
