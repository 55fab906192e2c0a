/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Time. Deadlines are on the monotonic clock, time stamps on the wall clock. */

#include <stdint.h>

#include "base/err.h"

/* CLOCK_MONOTONIC, milliseconds. */
int64_t clock_mono_ms(void);
/* CLOCK_REALTIME, milliseconds since 1970. */
int64_t clock_wall_ms(void);
/* Milliseconds left until `deadline_ms` (monotonic), at least 0. */
int64_t clock_left_ms(int64_t deadline_ms);

#define CLOCK_RFC3339_MAX 32
/* "2026-04-21T18:15:42Z": seconds, UTC. Returns `text`. */
char *clock_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_MAX]);
/* RFC 3339 with optional fraction and any offset, to milliseconds since 1970. Pure. */
int clock_parse_rfc3339(const char *s, int64_t *ret_wall_ms, struct err **err);
