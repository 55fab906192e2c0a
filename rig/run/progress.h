/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What people see while it runs. On a terminal one status line is rewritten in place: what is
 * waited for, since when, what was last seen. Elsewhere lines: when a step begins, when what is
 * seen changes (at most every 5 s), once a minute while nothing changes, and when a step ends.
 */

#include <stdio.h>

#include "rig/run/run.h"

struct progress;

/* `width` is the terminal's, 0 when `out` is none. */
struct progress *progress_new(FILE *out, int width);
void progress_free(struct progress *p);
DEFINE_CLEANUP(struct progress *, progress_free)

/* A line that stays. */
void progress_line(struct progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What is going on outside steps: the status line on a terminal, a line elsewhere. */
void progress_status(struct progress *p, const char *text);
/* Whether there is a terminal, so that a status costs no line. */
bool progress_live(const struct progress *p);
/* Takes the status line away. */
void progress_clear(struct progress *p);
/* Fills in `step`, `acted`, `waiting`, `done` and `userdata`. */
void progress_watch(struct progress *p, struct watcher *ret);
