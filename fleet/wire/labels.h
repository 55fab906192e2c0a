/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Labels and label selectors, with the meaning that Kubernetes gives them
 * (kubernetes.io/docs/concepts/overview/working-with-objects/labels). */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct label {
    char *key;
    char *value;
};

/* Sorted by key, keys unique. Zero-initialised is empty. */
struct labels {
    struct label *items;
    size_t n;
};

/* Replaces the value of a key that is there. */
void labels_set(struct labels *l, const char *key, const char *value);
/* NULL when absent. Borrowed. */
const char *labels_get(const struct labels *l, const char *key);
bool labels_equal(const struct labels *a, const struct labels *b);
/* Replaces what `dst` holds. */
void labels_copy(struct labels *dst, const struct labels *src);
void labels_done(struct labels *l);

/* Kubernetes' syntax of label keys and values; the decoders refuse others. */
int label_check(const char *key, const char *value, struct err **err);

int labels_decode(const json_t *object, struct labels *ret, struct err **err);
/* New reference. */
json_t *labels_encode(const struct labels *l);

enum selector_op { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS, SELECTOR_NOT_EXISTS };

struct requirement {
    char *key;
    enum selector_op op;
    char **values; /* strv, sorted, unique; NULL for the operators that take none */
};

/* Canonical: sorted by key, operator and values, so that order of writing does not matter.
 * All requirements must hold (matchLabels become In with one value). None at all matches every
 * device; an absent selector (NULL JSON) matches none. */
struct selector {
    struct requirement *items;
    size_t n;
    bool absent;
};

int selector_decode(const json_t *label_selector, struct selector *ret, struct err **err);
bool selector_matches(const struct selector *s, const struct labels *l);
bool selector_equal(const struct selector *a, const struct selector *b);
void selector_done(struct selector *s);
