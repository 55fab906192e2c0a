/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a snapshot's meta.json: what it tells, or an error. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rig/lab/warm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_ERR struct err *err = NULL;
    struct warm_meta meta = { 0 };
    int r = warm_meta_parse("f", (const char *)data, size, &meta, &err);

    if ((r < 0) != (err != NULL) || (r < 0 && meta.n_files > 0))
        abort();
    for (size_t i = 0; i < meta.n_files; i++)
        if (!*meta.files[i].name || strchr(meta.files[i].name, '/'))
            abort();
    return 0;
}
