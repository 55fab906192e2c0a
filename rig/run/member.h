/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Inside rig/run: members of objects that were read from a history. One that is absent is 0, false,
 * NULL; one of another type, or out of bounds, sets *bad. */

#include <stdint.h>

#include "base/json.h"

int64_t member_int(const json_t *object, const char *name, bool *bad); /* from 0 on */
double member_real(const json_t *object, const char *name, bool *bad); /* from 0 on */
bool member_flag(const json_t *object, const char *name, bool *bad);
/* The caller frees them. */
char *member_text(const json_t *object, const char *name, bool *bad);
char **member_strv(const json_t *object, const char *name, bool *bad);
/* The index in `words` of the text there; absent is bad, too. */
size_t member_word(const json_t *object, const char *name, const char *const *words, size_t n,
                   bool *bad);
/* A number that makes no sense in an array: more than `max` elements are bad. 0 when absent. */
size_t member_count(const json_t *object, const char *name, size_t max, bool *bad);

/* Writing: what has the value of an absent one is left out. Bytes that are no text are replaced. */
void member_set_int(json_t *object, const char *name, int64_t value);
void member_set_real(json_t *object, const char *name, double value);
void member_set_flag(json_t *object, const char *name, bool value);
void member_set_text(json_t *object, const char *name, const char *value);
void member_set_strv(json_t *object, const char *name, char *const *value);
