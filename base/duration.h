/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Durations as people write them: "200ms", "20s", "5m", "1h30m". A bare number is an error: units
 * are part of the value. */

#include <stdint.h>

#include "base/err.h"

/* Milliseconds; at most 365 days. */
int duration_parse(const char *s, int64_t *ret_ms, struct err **err);

#define DURATION_TEXT_MAX 32
/* "850ms", "12.3s", "4m05s", "1h02m". Returns `text`. */
char *duration_format(int64_t ms, char text[static DURATION_TEXT_MAX]);
