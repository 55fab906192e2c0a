/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Settings files: YAML read by libcyaml with a schema. An unknown or misspelt key, a missing one or
 * one of the wrong type is an error "FILE:LINE:COLUMN: ..." that names the key. Secrets do not
 * stand in settings files: a setting names the file that holds one (conf_secret()).
 *
 * The rules of base/yaml.h hold here too, and types are meant: a number in quotes is no number, and
 * true and false are the only booleans. The top of a schema is a mapping with CYAML_FLAG_POINTER.
 * An absent optional field is zero; an empty file is a mapping without fields.
 */

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Loads `path` (at most 256 KiB) by `schema` into *ret, which the caller frees with conf_free(). */
int conf_load(const char *path, const cyaml_schema_value_t *schema, void **ret, struct err **err);
/* The same from memory, for tests and fuzzers; `name` stands in errors. */
int conf_parse(const char *name, const char *text, size_t len, const cyaml_schema_value_t *schema,
               void **ret, struct err **err);
void conf_free(const cyaml_schema_value_t *schema, void *data);

/* The levels of base/log.h, for a CYAML_FIELD_ENUM. */
#define CONF_LOG_LEVELS 4
extern const cyaml_strval_t conf_log_levels[CONF_LOG_LEVELS];

/* Reads a secret from `path`: one trailing newline is cut, an empty file is an error, and so is one
 * that others than its owner and group may read. At most 64 KiB. The caller frees it. */
int conf_secret(const char *path, char **ret, struct err **err);
