/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* A YAML tree held against a libcyaml schema. Internal to base/conf.c. */

#include <cyaml/cyaml.h>

#include "base/err.h"
#include "base/yaml.h"

/* The first mistake is an error "NAME:LINE:COLUMN: ...". Pure. */
int conf_check(const char *name, const struct yaml_node *root, const cyaml_schema_value_t *schema,
               struct err **err);
