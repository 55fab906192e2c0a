/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the families of verbs share: samples, one look or act at each of several devices, and what is
 * done inside a device. */

#include "base/buf.h"
#include "rig/lab/lab.h"
#include "rig/verbs/verb.h"

/* How long one look may take to reach what it looks at. It has no need to wait: it comes again. */
#define LOOK_MS 5000

/* For taking something back inside a device, which may boot just now. */
#define TAKE_BACK_MS 300000

/* Sets verdict and text, and returns 0: `return seen(ret, VERDICT_NO, "...")`. */
int seen(struct sample *ret, enum verdict verdict, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Looks at each DEVICE of the sentence. All must say yes; the sample names those that do not, or
 * all of them when every one does. */
int look_at_each(struct verb_run *run, const struct sentence *s,
                 int (*look)(struct verb_run *run, const struct sentence *s, const char *device,
                             struct sample *ret, struct err **err),
                 struct sample *ret, struct err **err);

/* Does it to each DEVICE of the sentence; the notes stand side by side in `note`. */
typedef int act_on_device(struct verb_run *run, const struct sentence *s, const char *device,
                          char note[static SAMPLE_MAX], struct err **err);
int act_on_each(struct verb_run *run, const struct sentence *s, act_on_device *act,
                char note[static SAMPLE_MAX], struct err **err);
/* The same for taking back, where nobody reads a note. */
int undo_on_each(struct verb_run *run, const struct sentence *s, act_on_device *act,
                 struct err **err);
/* The functions of a verb_impl, made from one for each device. */
#define ACT_ON_EACH(name, one)                                                                     \
    static int name(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],  \
                    struct err **err)                                                              \
    {                                                                                              \
        return act_on_each(run, s, one, note, err);                                                \
    }
#define UNDO_ON_EACH(name, one)                                                                    \
    static int name(struct verb_run *run, const struct sentence *s, struct err **err)              \
    {                                                                                              \
        return undo_on_each(run, s, one, err);                                                     \
    }
/* Sets the note and returns 0. */
int noted(char note[static SAMPLE_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A machine that is switched off, paused or without its link stays so for the rest of the step: actions
 * come before checks. True, and the sample says so, when it is. */
bool look_is_off(struct verb_run *run, const char *device, struct sample *ret);

/* A NO becomes a NEVER when the component that would have to change it does not run. */
void look_without(struct verb_run *run, const char *component, struct sample *ret);

/* The live value of a key; -ENOENT when there is none. -EHOSTDOWN at once when who keeps it does not
 * run, as of look_object(). `ret` is freed with bus_entry_done(). */
int look_key(struct verb_run *run, const char *bucket, const char *key, struct bus_entry *ret,
             struct err **err);
/* The object as the API server has it now; -ENOENT when there is none. New reference. */
int look_object(struct verb_run *run, const json_t *like, json_t **ret, struct err **err);

/* How long the machine takes to greet over SSH just now, milliseconds; -1 when it does not. */
int64_t look_greeting(struct verb_run *run, const char *device);
/* Evidence for what silences a machine: it does not greet for much longer than it took before. An
 * error when it does. `what` it is now: "paused". */
int need_silence(struct verb_run *run, const char *device, int64_t greeting_ms, const char *what,
                 char note[static SAMPLE_MAX], struct err **err);

/* Runs a program on the device; a non-zero exit status is an error. The caller frees *ret_out. Fails at
 * once when nothing can answer: the machine is off, paused or without its link. */
int on_device(struct verb_run *run, const char *device, char *const *argv, int64_t timeout_ms,
              char **ret_out, struct err **err);
/* Runs a script of bash on the device (-eu, pipefail) with `args` as $1 and so on; what it prints is
 * the note, what it prints before it fails is the error. */
int script_on_device(struct verb_run *run, const char *device, const char *script,
                     char *const *args, int64_t timeout_ms, char note[static SAMPLE_MAX],
                     struct err **err);
/* The boot id of the running kernel. The caller frees it. */
int look_boot_id(struct verb_run *run, const char *device, int64_t timeout_ms, char **ret,
                 struct err **err);
