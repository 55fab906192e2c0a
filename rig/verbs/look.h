/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the families of verbs share: samples, and one look at each of several devices. */

#include "base/buf.h"
#include "rig/lab/lab.h"
#include "rig/verbs/verb.h"

/* How long one look may take to reach what it looks at. It has no need to wait: it comes again. */
#define LOOK_MS 5000

/* Sets verdict and text, and returns 0: `return seen(ret, VERDICT_NO, "...")`. */
int seen(struct sample *ret, enum verdict verdict, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Looks at each DEVICE of the sentence. All must say yes; the sample names those that do not, or
 * all of them when every one does. */
int look_at_each(struct verb_run *run, const struct sentence *s,
                 int (*look)(struct verb_run *run, const struct sentence *s, const char *device,
                             struct sample *ret, struct err **err),
                 struct sample *ret, struct err **err);

/* A machine that is switched off stays so for the rest of the step: actions come before checks.
 * True, and the sample says so, when it is off. */
bool look_is_off(struct verb_run *run, const char *device, struct sample *ret);

/* The live value of a key; -ENOENT when there is none. `ret` is freed with bus_entry_done(). */
int look_key(struct verb_run *run, const char *bucket, const char *key, struct bus_entry *ret,
             struct err **err);
/* The object as the API server has it now; -ENOENT when there is none. New reference. */
int look_object(struct verb_run *run, const json_t *like, json_t **ret, struct err **err);

/* Runs a program on the device; a non-zero exit status is an error. The caller frees *ret_out. */
int on_device(struct verb_run *run, const char *device, char *const *argv, int64_t timeout_ms,
              char **ret_out, struct err **err);
