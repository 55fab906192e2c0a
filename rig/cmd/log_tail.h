/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The last lines of the logs of components, DIR/NAME.log, and what comes after them. */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct log_tail {
    const char *dir;
    const char *name; /* one component; NULL: all, each line with "NAME | " before it */
    size_t lines;     /* the last ones of each log */
    bool follow;      /* go on until `stop`; components that come later are shown, too */
    const volatile sig_atomic_t *stop;
    FILE *out;
};

/* strv of the components that have logs, sorted. The caller frees it. */
int log_names(const char *dir, char ***ret, struct err **err);

/* -ENOENT: no such component; the error names those that there are. */
int log_tail(const struct log_tail *config, struct err **err);
