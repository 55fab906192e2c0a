/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* BLAKE2b-256 in hex: of what must be recognised, nothing secret. */

#include <stddef.h>

#define DIGEST_TEXT 65 /* with terminator */

char *digest(const void *data, size_t len, char text[static DIGEST_TEXT]);
