/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Time stamps as text. Pure, so that decisions may use it; the time itself is told by base/clock.h. */

#include <stdint.h>

#include "base/err.h"

#define CLOCK_RFC3339_MAX 32
/* "2026-04-21T18:15:42Z": seconds, UTC; a year beyond 9999 is shown as 1970. Returns `text`. */
char *clock_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_MAX]);
/* RFC 3339 with optional fraction and any offset, to milliseconds since 1970. */
int clock_parse_rfc3339(const char *s, int64_t *ret_wall_ms, struct err **err);
