/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* For fuzz targets: a property that must hold, whatever the input. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PROPERTY(x)                                                                                \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
