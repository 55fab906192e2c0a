/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Time. Deadlines are on the monotonic clock, time stamps on the wall clock; base/clock_text.h, which
 * comes with this, reads and writes them. */

#include <stdint.h>

#include "base/clock_text.h"

/* CLOCK_MONOTONIC, milliseconds. */
int64_t clock_mono_ms(void);
/* CLOCK_REALTIME, milliseconds since 1970. */
int64_t clock_wall_ms(void);
/* Milliseconds left until `deadline_ms` (monotonic), at least 0. */
int64_t clock_left_ms(int64_t deadline_ms);
