/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Sentences: one line of a `do`, `fault`, `expect` or `always` list, matched against a table of
 * patterns. In a pattern lower-case words are literal, UPPER is a parameter whose name is its type,
 * and `DEVICE...` is one or more. TEXT stands last and takes the rest of the sentence. A value may
 * stand in double quotes, which are not part of it; a quoted word is never a literal. Of several
 * patterns that fit, the one with most literal words is meant.
 *
 * The types are a table, rig/scenario/param.h, and checked here. What DEVICE, DEPLOYMENT and FILE
 * refer to is checked by the scenario.
 *
 * Pure: no function of the table is called here. The table gives the check, the help and the
 * generated page.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum verb_kind { VERB_DO = 1, VERB_FAULT = 2, VERB_EXPECT = 4 };

#define SENTENCE_MAX 400 /* bytes */
#define SENTENCE_WORDS 72
#define SENTENCE_PARAMS 6

struct verb_impl; /* what rig/run calls; opaque here, defined in rig/verbs/verb.h */

struct verb {
    enum verb_kind kind;
    const char *pattern; /* "deployment DEPLOYMENT is running on DEVICE..." */
    const char *help;    /* one line */
    const struct verb_impl *impl;
};

/* The bound parameters, in pattern order. */
struct binding {
    char name[16]; /* its type: "DEVICE" */
    char **values; /* strv; one unless it is a list */
    bool list;     /* the pattern has "..." */
};

struct sentence {
    char *text; /* the author's own, white space squeezed */
    const struct verb *verb;
    struct binding params[SENTENCE_PARAMS];
    size_t n_params;
    unsigned line, column;
};

/* "do", "fault", "expect". */
const char *verb_kind_text(enum verb_kind kind);

/* Matches `text` against the verbs of `kinds`, one or several. When none fits, the error says which came nearest and
 * where it parts ("after 'deployment hello is' expected 'running' or 'absent', found 'runing'; did you mean..."), or
 * under which key the sentence would fit. */
int sentence_parse(const struct verb *verbs, size_t n_verbs, unsigned kinds, const char *text,
                   struct sentence *ret, struct err **err);
/* The first value of parameter `name`, e.g. "COUNT"; the second COUNT of a pattern is "COUNT_2".
 * These abort when the pattern has no such parameter. */
const char *sentence_value(const struct sentence *s, const char *name);
char *const *sentence_values(const struct sentence *s, const char *name);
/* The value as a number, in the unit of its type: kbit/s of RATE, bytes of SIZE. */
int64_t sentence_number(const struct sentence *s, const char *name);
/* Milliseconds of a DURATION. */
int64_t sentence_ms(const struct sentence *s, const char *name);
void sentence_done(struct sentence *s);
