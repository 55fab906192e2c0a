/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* One scenario from lab to reports. RUN/history.jsonl is written while it goes on; report.html,
 * junit.xml, result.tap and summary.txt are made from it. What cannot be written is told, and changes no verdict. */

#include <signal.h>

#include "rig/cmd/place.h"
#include "rig/cmd/settings.h"
#include "rig/run/history.h"
#include "rig/run/progress.h"

struct one_run_config {
    const struct place *place;
    const struct settings *settings;
    const struct scenario *scenario;
    const char *folder; /* of the run, see rig/cmd/runs.h */
    struct progress *progress;
    const volatile sig_atomic_t *stop;
    bool keep;  /* after a failure leave the lab up until `stop` */
    bool pause; /* at a failure open a shell; there must be a terminal */
};

struct one_run {
    const struct scenario *scenario;
    struct run_result result;
    struct history *history; /* all of it, also when the disk was full; owned */
    char *folder;            /* of the run; NULL when it could not be made */
    char *evidence;          /* folder, when something failed */
    bool no_lab;             /* the lab did not come up */
};

/* Always fills in `ret`; trouble with the host itself is in its first step, "lab". */
void one_run(const struct one_run_config *config, struct one_run *ret);
void one_run_done(struct one_run *r);
