/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Where the time of a run went, as a table for people. Pure. */

#include "rig/run/history.h"

void summary_text(const struct history *h, struct buf *out);
