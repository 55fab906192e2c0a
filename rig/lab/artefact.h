/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the lab runs on and builds at most once per machine: the recipes images/NAME.sh. Each prints
 * the folder of the finished artefact; what is missing is built, several side by side, with their
 * progress lines passed on. */

#include <signal.h>
#include <stddef.h>

#include "base/err.h"

struct artefact {
    const char *recipe;   /* "device", "apiserver", "nats", "hello" */
    const char *argument; /* "amd64", or NULL */
    char *dir;            /* set by artefacts_ensure(); owned */
};

/* `images_dir` is the folder of the recipes. `progress` gets each line of a build. Once `stop` (may
 * be NULL) is set, or one recipe failed, the others are ended and cleaned up. */
int artefacts_ensure(const char *images_dir, struct artefact *items, size_t n,
                     const volatile sig_atomic_t *stop,
                     void (*progress)(const char *line, void *userdata), void *userdata,
                     struct err **err);
void artefacts_done(struct artefact *items, size_t n);
