/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A YAML document as a tree that knows where each node stands (libyaml underneath). Used where a
 * reader wants every mistake at once with its line and column (scenario files) and to turn
 * Kubernetes manifests into JSON. Settings files of the daemons are read by base/conf.h instead.
 *
 * Caps: 1 MiB a file, 64 levels, 100,000 nodes. Aliases and anchors, tags, duplicate keys and
 * non-scalar keys are errors: none has a place in these files, and an alias can explode in size. So
 * are plain scalars that two readers would take for two things: an integer with a leading zero
 * (octal in YAML 1.1, decimal in 1.2), and floats that JSON cannot hold (.inf, .nan, 1e999).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

/* libyaml has a yaml_free() of its own, which ours must not take the place of at run time. */
#pragma GCC visibility push(hidden)

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line, column; /* from 1 */
    char *text;            /* scalar: its value; else NULL */
    bool quoted;           /* scalar: written in quotes or as a block, so it is a string */
    char *key;             /* when it is the value of a map: its key; else NULL */
    unsigned key_line, key_column;
    struct yaml_node **items; /* list items, or map values in file order */
    size_t n_items;
};

/* Reads all documents of `text`, of which an empty text has none. `name` is used in errors:
 * "name:3:7: ...". The caller frees each with yaml_free() and the array with free();
 * yaml_free_all() does both. */
int yaml_parse(const char *name, const char *text, size_t len, struct yaml_node ***ret,
               size_t *ret_n, struct err **err);

/* The value of `key` in a map, or NULL. Borrowed. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* YAML 1.2 core schema: true/false, null/~, integers, floats; the rest are strings, and so are
 * quoted scalars. An integer beyond 64 bits becomes a float. Never NULL. New reference. */
json_t *yaml_to_json(const struct yaml_node *node);

void yaml_free(struct yaml_node *node);
void yaml_free_all(struct yaml_node **nodes, size_t n);

#pragma GCC visibility pop
