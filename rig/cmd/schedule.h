/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Which scenario starts next, by what it needs and what the host has left. Pure.
 *
 * Memory is what a lab really runs out of: its devices' and what emulators and servers take beside.
 * Processors are shared: machines wait more than they compute, so each takes two of them. What somebody
 * asks for with --jobs overrides the processors, never the memory. What takes longest starts first;
 * where it does not fit, something smaller does not wait for it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SCHEDULE_CONTROL_MB 400 /* API server, etcd, NATS, operator, libvirtd, and the rig */
#define SCHEDULE_MACHINE_MB 150 /* the emulator's own, beside its machine's memory */
#define SCHEDULE_SPARE_MB 512   /* stays free for everybody else */
#define SCHEDULE_MACHINES_PER_CORE 2

struct schedule_host {
    size_t cores;
    size_t jobs;       /* at most so many at a time; 0: as many as there are cores for */
    int64_t memory_mb; /* that all of them may take together: what was available before the first */
    int64_t free_mb;   /* available now */
};

struct schedule_need {
    size_t machines;
    int64_t memory_mb;
};

enum schedule_state { SCHEDULE_WAITING, SCHEDULE_RUNNING, SCHEDULE_OVER };

struct schedule_job {
    struct schedule_need need;
    int64_t expected_ms; /* 0 or less: not known */
    enum schedule_state state;
};

/* What a fleet of so many devices with so much memory each takes. */
struct schedule_need schedule_need(size_t devices, int64_t memory_mb);

/* 0 when the host has the memory for such a fleet while nothing else runs; else -ENOMEM, and what to
 * do. */
int schedule_check(const struct schedule_host *host, size_t devices, int64_t memory_mb,
                   struct err **err);

/* The job to start now; `n` when none can before another has ended. */
size_t schedule_next(const struct schedule_host *host, const struct schedule_job *jobs, size_t n);
