/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* How long scenarios took before, from the histories of the runs that passed. */

#include <stdint.h>

#include "base/cleanup.h"

struct past;

/* Reads the newest runs in `dir`; a folder that is not there, or holds nothing, is no past. Not NULL. */
struct past *past_read(const char *dir);
void past_free(struct past *p);
DEFINE_CLEANUP(struct past *, past_free)

/* The median of its whole runs, of one of its steps; -1 when there is none. */
int64_t past_run_ms(const struct past *p, const char *scenario);
int64_t past_step_ms(const struct past *p, const char *scenario, const char *step);
