/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* jansson with our habits: caps, duplicate keys refused, errors with a position, owned by scope.
 * jansson's own json_* functions are used directly for everything else. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

DEFINE_CLEANUP(json_t *, json_decref)
#define CLEANUP_JSON CLEANUP(json_decref)

/* Parses `len` bytes, at most `max`. Refuses duplicate members, trailing bytes and embedded NULs. */
int json_parse(const char *data, size_t len, size_t max, json_t **ret, struct err **err);
/* The same for answers of a server that stores what its users sent: strings may hold NULs and an
 * integer beyond 64 bits is read as a real, so that one odd object does not hide all others. */
int json_parse_wide(const char *data, size_t len, size_t max, json_t **ret, struct err **err);

/* Compact, member order kept. Never NULL; the caller frees it. */
char *json_text(const json_t *value);
/* Compact, members sorted: equal values give equal bytes. */
char *json_text_sorted(const json_t *value);

/* Walks "a.b.c" through objects; a piece that is a number indexes an array. NULL when absent.
 * Borrowed. Keys that contain dots cannot be reached so. */
json_t *json_path(const json_t *value, const char *path);
/* The string there, or NULL when absent or of another type. Borrowed. */
const char *json_path_str(const json_t *value, const char *path);
/* The integer there, or `otherwise`. */
json_int_t json_path_int(const json_t *value, const char *path, json_int_t otherwise);
