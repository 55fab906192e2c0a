/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/agent/decide.h"
#include "fleet/testing/servers.h"
