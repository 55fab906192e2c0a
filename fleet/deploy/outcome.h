/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Small things that scores share. */

#include "fleet/deploy/score.h"

void outcome_set(struct outcome *o, bool changed, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Polls `look` every 100 ms until it returns 1 (there), a negative errno other than -EAGAIN
 * (hopeless), or the deadline passes; the last reason that it gave is in the error. */
int outcome_await(int64_t timeout_ms, int (*look)(void *userdata, struct err **err), void *userdata,
                  struct err **err);
