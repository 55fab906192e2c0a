/* SPDX-License-Identifier: AGPL-3.0-only */
#include "rig/run/run.h"
#include <zlib.h>
