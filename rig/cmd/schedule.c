/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/schedule.h"

#include <errno.h>
#include <stdbool.h>

struct schedule_need schedule_need(size_t devices, int64_t memory_mb)
{
    return (struct schedule_need){
        .machines = devices,
        .memory_mb = SCHEDULE_CONTROL_MB + (int64_t)devices * (memory_mb + SCHEDULE_MACHINE_MB),
    };
}

int schedule_check(const struct schedule_host *host, size_t devices, int64_t memory_mb,
                   struct err **err)
{
    int64_t need = schedule_need(devices, memory_mb).memory_mb + SCHEDULE_SPARE_MB;

    if (need <= host->memory_mb)
        return 0;
    err_new(err, ENOMEM,
            "%zu device%s of %lld MiB and what runs beside need %lld MiB of memory, %lld MiB are "
            "available here",
            devices, devices == 1 ? "" : "s", (long long)memory_mb, (long long)need,
            (long long)host->memory_mb);
    err_hint(err, "end something else, or give devices less (memory_mb in rig.yml, at least 512)");
    return -ENOMEM;
}

/* What runs. */
struct load {
    size_t jobs, machines;
    int64_t memory_mb;
};

static struct load load_of(const struct schedule_job *jobs, size_t n)
{
    struct load load = { 0 };

    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state != SCHEDULE_RUNNING)
            continue;
        load.jobs++;
        load.machines += jobs[i].need.machines;
        load.memory_mb += jobs[i].need.memory_mb;
    }
    return load;
}

static bool fits(const struct schedule_host *host, const struct load *load,
                 const struct schedule_need *need)
{
    /* Alone it runs whatever it takes: whether the host has that was asked before. */
    if (load->jobs == 0)
        return true;
    if (load->memory_mb + need->memory_mb + SCHEDULE_SPARE_MB > host->memory_mb ||
        need->memory_mb + SCHEDULE_SPARE_MB > host->free_mb)
        return false;
    if (host->jobs)
        return load->jobs < host->jobs;
    return load->machines + need->machines <= SCHEDULE_MACHINES_PER_CORE * host->cores;
}

size_t schedule_next(const struct schedule_host *host, const struct schedule_job *jobs, size_t n)
{
    struct load load = load_of(jobs, n);
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state != SCHEDULE_WAITING || !fits(host, &load, &jobs[i].need))
            continue;
        if (best == n || jobs[i].expected_ms > jobs[best].expected_ms)
            best = i;
    }
    return best;
}
