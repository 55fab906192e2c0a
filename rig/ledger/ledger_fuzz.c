/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a ledger: its open entries, in order, or an error. */

#include <stdint.h>
#include <stdlib.h>

#include "rig/ledger/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_ERR struct err *err = NULL;
    struct ledger_page page = { 0 };
    int r = ledger_parse("f", (const char *)data, size, &page, &err);

    if ((r < 0) != (err != NULL) || (r < 0 && page.n_open > 0))
        abort();
    for (size_t i = 0; i < page.n_open; i++)
        if (!page.open[i].subject || page.open[i].id <= (i ? page.open[i - 1].id : 0))
            abort();
    ledger_page_done(&page);
    return 0;
}
