/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/digest.h"

#include <sodium.h>

char *digest(const void *data, size_t len, char text[static DIGEST_TEXT])
{
    unsigned char hash[32];

    crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
    return sodium_bin2hex(text, DIGEST_TEXT, hash, sizeof(hash));
}
