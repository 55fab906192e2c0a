/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Takes back what a dead lab left, by its ledger: kills its processes (only those whose pid, start
 * time and boot are the ledger's), destroys and undefines its machines (only those of its uuid),
 * unmounts, removes its folders, and crosses each entry out as it goes. Idempotent; goes on after what
 * cannot be done and says it at the end.
 */

#include <stdbool.h>

#include "base/err.h"

/* What was done, in words: "killed nats (pid 812)". */
typedef void heal_told(const char *line, void *userdata);

/* `dir` is the folder of a lab, with its ledger. Nothing is done while its owner lives (-EBUSY). With
 * `dry` it is only told. *ret_n (may be NULL) counts what was left. */
int heal(const char *dir, bool dry, heal_told *told, void *userdata, size_t *ret_n,
         struct err **err);
