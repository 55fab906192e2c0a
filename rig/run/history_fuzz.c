/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a history: reports can be made of it, or there is an error. */

#include <stdlib.h>

#include "rig/run/history.h"
#include "rig/run/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(history_free) struct history *h = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    int r = history_parse("f", (const char *)data, size, &h, &err);

    if ((r < 0) != (err != NULL) || (r < 0) != (h == NULL))
        abort();
    if (!h)
        return 0;
    report_junit((const struct history *const[]){ h }, 1, &out);
    report_tap((const struct history *const[]){ h }, 1, &out);
    return 0;
}
