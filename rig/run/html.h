/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Writing HTML into which nothing gets that is not meant to: texts are escaped and their secrets
 * hidden by the one function that adds them. What is written is well-formed XML, too. */

#include "base/buf.h"

#define HTML_TEXT_MAX 4096 /* bytes of one %s; what is longer is cut */

struct html {
    struct buf *out;
    char *const *secrets; /* strv, may be NULL */
};

/* Markup as printf() makes it, but every %s is a text (NULL: ""): escaped, secrets hidden, fit for
 * elements and for attributes in double quotes. Beside %s there are %d, %zu, %lld, %c, %% and %.Nf. */
void html_addf(const struct html *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A text of any bytes. */
void html_text(const struct html *h, const char *text, size_t len);
