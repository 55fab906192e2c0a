/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The types of parameters in sentences: one table for the check, the pages for people, the schema
 * for editors and the tests. Where a pattern has two of one type, the second is found as TYPE_2.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct param_unit {
    const char *name; /* "MiB"; "" for none */
    int64_t factor;
};

struct param_type {
    const char *name;    /* "PORT" */
    const char *what;    /* "a number from 1 to 65535" */
    const char *regex;   /* ECMA-262: a value that is written without quotes */
    const char *example; /* a value that is accepted */
    bool number;         /* sentence_number() understands it */
    bool duration;       /* a number of milliseconds, written as base/duration.h reads it */
    const struct param_unit *units; /* of other numbers; NULL for none */
    int64_t min, max;               /* of a number, in its unit */
    const char *const *words;       /* NULL-terminated: the only values; NULL for any */
    bool (*good)(const char *value);
};

extern const struct param_type param_types[];
extern const size_t param_types_len;

/* The type of the parameter that begins here in a pattern, "DEVICE..." or "COUNT"; NULL when there is none. */
const struct param_type *param_type_find(const char *param);
/* `ret` (may be NULL) is set for numbers, in the unit of the type: milliseconds of DURATION, kbit/s
 * of RATE, bytes of SIZE. */
int param_check(const struct param_type *type, const char *value, int64_t *ret, struct err **err);

/* Parts of the control plane that a sentence can name, NULL-terminated. */
extern const char *const param_components[];
