/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * JSON lines: one value a line, each written by one write(2), so that a file whose writer died holds
 * whole lines and at most one that was cut short, the last.
 */

#include "base/json.h"

/* Appends `value` to the O_APPEND file `fd`. When it does not fit as a whole (a full disk) nothing
 * of it stays. Returns the bytes written or a negative errno. */
int jsonl_append(int fd, const json_t *value);

/* Reads lines from memory: `{ .at = text, .left = len }`. */
struct jsonl {
    const char *at;
    size_t left; /* bytes */
    size_t line; /* number of the line given last, from 1 */
};

/* The next value: 1 and a new reference; 0 at the end, where a line without its line end is passed
 * over. `name` is used in errors: "NAME:3: ...". */
int jsonl_next(struct jsonl *l, const char *name, json_t **ret, struct err **err);
