/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What people see of several scenarios at once: their lines, each behind its scenario's name, and
 * on a terminal below them one status line for each that runs.
 *
 * A scenario's output is fed as its process writes it: whole lines stay; what follows a "\r\033[K"
 * is its status until the next one (rig/run/progress.h writes so on a terminal).
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"

struct board;

/* `width` is the terminal's, 0 when `out` is none. `names_width`: columns of the longest name. */
struct board *board_new(FILE *out, int width, int names_width);
void board_free(struct board *b);
DEFINE_CLEANUP(struct board *, board_free)

/* Columns that a scenario has for its own lines; 0 when `out` is no terminal. */
int board_width(const struct board *b);

/* A scenario begins; its slot. The name is copied. */
size_t board_begin(struct board *b, const char *name);
void board_feed(struct board *b, size_t slot, const char *data, size_t len);
/* The last lines that it wrote, at most a dozen; "" when it said nothing. Valid until the next feed. */
const char *board_last_words(const struct board *b, size_t slot);
/* It has ended: a line without an end is shown as it is. The slot may be given again. */
void board_end(struct board *b, size_t slot);

/* A line of nobody's in particular. */
void board_line(struct board *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
