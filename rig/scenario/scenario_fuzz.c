/* SPDX-License-Identifier: AGPL-3.0-only */

/* Any bytes as a scenario file: it is accepted, or refused with at least one mistake. */

#include <stdint.h>
#include <stdlib.h>

#include "rig/scenario/sample_verbs.h"
#include "rig/scenario/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(scenario_free) struct scenario *s = NULL;
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    int r;

    if (size > SCENARIO_MAX)
        return 0;
    r = scenario_parse("rig/scenario/testdata/good/input.yml", (const char *)data, size,
                       sample_verbs, ARRAY_LEN(sample_verbs), &s, &mistakes, &err);
    if ((r < 0) != (mistakes.len > 0) || (r < 0) != (s == NULL) || (r < 0) != (err != NULL))
        abort();
    return 0;
}
