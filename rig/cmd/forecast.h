/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What `rig run` would do, and how long it is expected to take. Pure. */

#include "base/buf.h"
#include "rig/cmd/many.h"
#include "rig/cmd/past.h"

struct forecast {
    const struct many_job *jobs;
    size_t n_jobs;
    size_t rounds;             /* 0: for ever */
    struct schedule_host host; /* nothing runs on it */
    const char *arch;          /* of devices that name none */
    int64_t memory_mb;         /* of a device */
    const struct past *past;
};

void forecast_text(const struct forecast *forecast, struct buf *out);
/* How long all of one round take when each takes as long as expected, or else its deadlines. */
int64_t forecast_total_ms(const struct forecast *forecast);
