/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Where the time of a run went, as a table for people. Pure. */

#include "rig/lab/lab.h"
#include "rig/run/run.h"

struct summary {
    const struct scenario *scenario;
    const struct run_result *result; /* first the lab, then the scenario's steps */
    const struct lab_phase *phases;
    size_t n_phases;
    int64_t down_ms;  /* taking the lab down */
    int64_t total_ms; /* all of it */
    int64_t cpu_ms;   /* processor time of the rig itself, without its children */
};

void summary_text(const struct summary *s, struct buf *out);
