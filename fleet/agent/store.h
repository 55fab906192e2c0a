/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The durable copy of the desired state: a file for each deployment under <state_dir>/desired. From it
 * the device starts its workloads when it boots without a network.
 *
 * A file is "<digest>\n<wanted|gone> <deployment>\n<score>"; the digest covers all that follows its
 * line, so a file that was damaged is recognised. "gone" is a deployment that was removed and whose
 * containers may still have to be torn down.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct store;

/* Makes the folder when it does not exist. */
int store_new(const char *state_dir, struct store **ret, struct err **err);
void store_free(struct store *s);
DEFINE_CLEANUP(struct store *, store_free)

/* Calls `found` for each whole file, and `damaged` for each that is not; damaged files stay. */
struct store_reader {
    void (*found)(const char *deployment, bool wanted, const char *bytes, size_t len,
                  void *userdata);
    void (*damaged)(const char *path, const struct err *why, void *userdata);
    void *userdata;
};
int store_load(const struct store *s, const struct store_reader *reader, struct err **err);

/* Durable when they return 0. `deployment` has passed deployment_name_check(). */
int store_want(const struct store *s, const char *deployment, const char *bytes, size_t len,
               struct err **err);
int store_unwant(const struct store *s, const char *deployment, struct err **err);
int store_forget(const struct store *s, const char *deployment, struct err **err);
