/* SPDX-License-Identifier: AGPL-3.0-only */
#include "base/check.h"
#include "rig/run/run.h"
