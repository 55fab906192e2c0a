/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Completion of sentences. Pure. */

#include "rig/scenario/sentence.h"

/* The words that may follow `given` in a sentence of one of these kinds: literals of patterns, and
 * `devices` where a device is due. An strv without repetitions; the caller frees it. */
char **next_words(const struct verb *verbs, size_t n_verbs, unsigned kinds, char *const *given,
                  char *const *devices);
