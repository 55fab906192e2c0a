/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The format of scenario files as a JSON Schema (draft 7, which the YAML language server of editors
 * and stock validators know), from the tables of format.h, param.h and the verbs. It accepts every
 * file that scenario_load() accepts; references, limits that span lists and the like it cannot
 * tell. Source: https://json-schema.org/draft-07
 */

#include "base/json.h"
#include "rig/scenario/sentence.h"

/* New reference. */
json_t *scenario_schema(const struct verb *verbs, size_t n);
