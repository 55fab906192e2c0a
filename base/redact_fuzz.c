/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdint.h>

#include "base/redact.h"
#include "base/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf once = BUF_INIT(1 << 20);

    redact(&once, (const char *)data, size, ARGV("secret"));
    return 0;
}
