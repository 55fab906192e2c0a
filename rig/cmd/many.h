/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Several scenarios at once, each in a process of its own: this program again, told by hidden
 * options which scenario it is, where its folder is, and how wide its lines are. What it says comes
 * through a pipe; what became of it stands in its folder.
 */

#include <signal.h>

#include "rig/cmd/board.h"
#include "rig/cmd/outcome.h"
#include "rig/cmd/schedule.h"

struct many_job {
    const struct scenario *scenario;
    int64_t expected_ms; /* 0 or less: not known */
};

struct many_config {
    const struct many_job *jobs; /* of one round */
    size_t n_jobs;
    size_t rounds;   /* 0: for ever */
    bool until_fail; /* nothing is started after something failed */
    /* What a child is called with before its own: "run", options. */
    char *const *argv;
    const char *runs_dir;
    struct schedule_host host; /* `free_mb` is asked for anew */
    int64_t memory_mb;         /* of a device */
    struct board *board;
    const volatile sig_atomic_t *stop; /* set: all are ended, and nothing more is started */
};

/* Appends what became of each that was started, in the order of jobs and rounds. Fails when one
 * could not be started; those before it have ended then. */
int many_run(const struct many_config *config, struct outcomes *ret, struct err **err);
