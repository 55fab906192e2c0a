/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * How slow machines are here and now. A bare-metal guest of a few instructions counts to a fixed
 * number on the accelerator that the run will use; the factor is its time over that of the reference:
 * an x86_64 machine under TCG on an idle two-core host of 2024. It takes under a second there. A crowded
 * host counts as three times slower at most: the crowd of this moment need not be that of the next. Deadlines of
 * scenarios and of the lab, and the guests' own (systemd's start and device time-outs), are
 * multiplied by it. Never less than 1, so that a deadline means at least what its author wrote; at
 * most CALIBRATE_MAX.
 */

#include <stdint.h>

#include "base/err.h"

#define CALIBRATE_MAX 30.0

/* `arch`: "x86_64" or "aarch64"; `accel`: "kvm" or "tcg". `interrupted` may be NULL. When it cannot be
 * measured the factor is 1 and *ret_why (may be NULL; the caller frees it) says why. */
int calibrate(const char *arch, const char *accel,
              int (*interrupted)(void *userdata, struct err **err), void *userdata,
              double *ret_factor, char **ret_why, struct err **err);

int64_t scaled_ms(int64_t ms, double factor);
