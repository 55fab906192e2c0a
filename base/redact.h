/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Takes secrets out of texts that are shown to people or kept: logs, journals, objects. What looks
 * like one becomes "***": private keys in PEM, Authorization headers, bearer tokens, JSON web
 * tokens, NATS seeds, passwords in URLs, and the values of members, settings and variables named
 * password, secret, token and the like. Pure. It looks for what these programs write; it is no
 * proof that nothing is left.
 */

#include "base/buf.h"

#define REDACTED "***"
#define REDACT_KNOWN_MIN 6 /* bytes: shorter known secrets are passed over */

/* Appends `len` bytes of `text` to `out`. `known`: a strv of texts that are secrets wherever they
 * stand; NULL for none. */
void redact(struct buf *out, const char *text, size_t len, char *const *known);
