/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Inside rig/scenario: `vars`, `matrix` and what is given from outside. A plan is what they make of a
 * file: the variants, each with a value for every variable. The last list of a matrix changes first.
 */

#include "base/yaml.h"

struct reader;

#define MATRIX_MAX_AXES 8

struct axis {
    const char *name; /* borrowed from the document */
    char **values;    /* strv; one when it was given from outside */
};

struct plan {
    char **vars; /* strv "name=value" */
    struct axis axes[MATRIX_MAX_AXES];
    size_t n_axes;
    size_t n_variants; /* 1 without a matrix */
};

/* Mistakes are the reader's; the plan has at least one variant in any case. */
void plan_read(struct reader *r, const struct yaml_node *root, char *const *overrides,
               struct plan *ret);
void plan_done(struct plan *plan);
/* The variables of a variant, strv "name=value". The caller frees it. */
char **plan_variables(const struct plan *plan, size_t variant);
/* "arch=x86_64,count=4" of a variant, "" without a matrix. The caller frees it. */
char *plan_text(const struct plan *plan, size_t variant);

/* The value of variable `name`; NULL when there is none. Borrowed. */
const char *variables_get(char *const *variables, const char *name);
/* Whether `text` has anything that variables_expand() changes. */
bool variables_in(const char *text);
/* `text` with the values of ${name} in it and $${ made ${. NULL after a mistake at `node`. The caller
 * frees it. */
char *variables_expand(struct reader *r, const struct yaml_node *node, const char *text);
