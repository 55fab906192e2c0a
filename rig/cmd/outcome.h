/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What became of one run of a scenario, read from its folder, in whatever process it ran. */

#include "rig/cmd/one_run.h"
#include "rig/cmd/rig.h"

struct outcome {
    const char *scenario; /* borrowed */
    enum result result;
    bool no_lab;             /* this host could not provide what it runs on */
    char *folder;            /* NULL: it was not run */
    char *unrun;             /* why it was not run */
    struct history *history; /* never NULL; of a run that left none it says what is known */
};

/* One that ran in this process; takes over what it needs of it. */
void outcome_take(struct outcome *o, struct one_run *run);
/* A run in `folder` has ended with exit code `code`, -1 when it died; `words` is what it said last. */
void outcome_read(struct outcome *o, const char *scenario, const char *folder, int code,
                  const char *words);
/* One that is not run: nobody can expect it here, or this host should be able to and is not. */
void outcome_skip(struct outcome *o, const char *scenario, const char *why);
void outcome_refuse(struct outcome *o, const char *scenario, const struct err *why);
void outcome_done(struct outcome *o);

struct outcomes {
    struct outcome *items;
    size_t n, cap;
};

struct outcome *outcomes_add(struct outcomes *list);
size_t outcomes_count(const struct outcomes *list, enum result result);
/* Exit code of all together, when nobody interrupted them. */
int outcomes_code(const struct outcomes *list);
void outcomes_done(struct outcomes *list);
#define CLEANUP_OUTCOMES __attribute__((cleanup(outcomes_done)))
