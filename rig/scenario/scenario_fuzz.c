/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a scenario file: it is accepted, or refused with at least one mistake. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "rig/scenario/sample_verbs.h"
#include "rig/scenario/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    int r;

    if (size > SCENARIO_MAX)
        return 0;
    r = scenario_parse("rig/scenario/testdata/good/input.yml", (const char *)data, size,
                       memmem(data, size, "x:", 2) ? ARGV("x=value") : NULL, sample_verbs,
                       ARRAY_LEN(sample_verbs), &list, &mistakes, &err);
    if ((r < 0) != (mistakes.len > 0) || (r < 0) != (list.n == 0) || (r < 0) != (err != NULL))
        abort();
    return 0;
}
