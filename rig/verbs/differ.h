/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* How two values differ, for samples: what matters, not what servers generate anew each time. Pure. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"

/*
 * Appends "a.b: NOW, was THEN" for each member that is not the same in both, "; " between them;
 * one side is "absent" where the other has it alone. Elements of lists are named by their "name" or
 * "type" where all have one, else by number: "conditions[Ready].status". Passed over are managedFields,
 * resourceVersion, uid, creationTimestamp, generation and observedGeneration but at the top, and texts
 * that are times in both. A text that holds an object is compared as one. NULL is absent. True when something was appended.
 */
bool differ(struct buf *out, const json_t *then, const json_t *now);
