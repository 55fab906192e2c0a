/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The table of verbs for people. */

#include "base/buf.h"
#include "rig/scenario/sentence.h"

/* Aligned for a terminal. */
void verbs_page_text(const struct verb *verbs, size_t n, struct buf *out);
/* Tables in Markdown, as they stand in scenarios/README.md. */
void verbs_page_markdown(const struct verb *verbs, size_t n, struct buf *out);
