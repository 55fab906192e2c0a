/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What writing and reading a history share: a line becomes part of a struct history in one way only,
 * whether it was just made or read from a file. */

#include "rig/run/history.h"

struct history_builder {
    struct history *history; /* owned until it is stolen */
    size_t cap_events;
};

extern const char *const history_kind_texts[];
#define HISTORY_KINDS 6

/* The first one is the run; lines that mean nothing here are passed over. */
int history_take(struct history_builder *b, const json_t *line, struct err **err);
/* After the last one: what did not end. */
void history_settle(struct history *h);
