/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/schedule.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

#define GIB INT64_C(1024)

/* Devices of 1 GiB: W waiting, R running, O over; each with its number of devices and, after a colon,
 * the minutes that it is expected to take: "R2 W1:3 W1". */
static size_t parse(const char *text, struct schedule_job *jobs)
{
    size_t n = 0;

    for (; *text; text++) {
        struct schedule_job *j = &jobs[n++];

        j->state = *text == 'W'   ? SCHEDULE_WAITING
                   : *text == 'R' ? SCHEDULE_RUNNING
                                  : SCHEDULE_OVER;
        j->need = schedule_need((size_t)(text[1] - '0'), GIB);
        j->expected_ms = text[2] == ':' ? (text[3] - '0') * INT64_C(60000) : 0;
        text += text[2] == ':' ? 4 : 2;
        if (!*text)
            break;
    }
    return n;
}

TEST(the_next_one_is_what_fits_and_takes_longest)
{
    static const struct {
        const char *name, *jobs;
        size_t cores, limit;
        int64_t memory_gib, free_gib;
        int want; /* -1: none */
    } table[] = {
        { "the first of equals", "W1 W1", 2, 0, 24, 24, 0 },
        { "the longest", "W1:1 W1:3 W1:2", 2, 0, 24, 24, 1 },
        { "two machines a core", "R1 R1 R1 W1", 2, 0, 24, 24, 3 },
        { "and no more", "R2 R2 W1:9", 2, 0, 24, 24, -1 },
        { "a small one does not wait for a large one", "R2 R1 W2:9 W1", 2, 0, 24, 24, 3 },
        { "one larger than the host's share runs alone", "W9", 2, 0, 24, 24, 0 },
        { "but not beside another", "R1 W9", 2, 0, 24, 24, -1 },
        { "what is over takes nothing", "O9 O9 W1", 2, 0, 24, 24, 2 },
        { "asked for more jobs than there are cores for", "R2 R2 W2", 2, 3, 24, 24, 2 },
        { "asked for fewer", "R1 W1", 2, 1, 24, 24, -1 },
        { "memory is short of all together", "R2 W2", 8, 0, 5, 5, -1 },
        { "a smaller one fits there", "R2 W2:9 W1", 8, 0, 5, 5, 2 },
        { "and --jobs does not change that", "R2 W2", 8, 9, 5, 5, -1 },
        { "others took the memory since", "R1 W1", 8, 0, 24, 1, -1 },
        { "nothing waits", "R1 O1", 2, 0, 24, 24, -1 },
        { "there is nothing", "", 2, 0, 24, 24, -1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct schedule_job jobs[16] = { 0 };
        size_t n = parse(table[i].jobs, jobs);
        struct schedule_host host = { .cores = table[i].cores,
                                      .jobs = table[i].limit,
                                      .memory_mb = table[i].memory_gib * GIB,
                                      .free_mb = table[i].free_gib * GIB };
        size_t got = schedule_next(&host, jobs, n);

        check_case("%s", table[i].name);
        check_int(got == n ? -1 : (int)got, table[i].want);
    }
}

TEST(every_job_runs_once_in_the_end)
{
    struct schedule_job jobs[16] = { 0 };
    size_t n = parse("W2 W4:9 W1 W9 W3:1", jobs), next, running = 0, ended = 0;
    struct schedule_host host = { .cores = 2, .memory_mb = 24 * GIB, .free_mb = 24 * GIB };

    while (ended < n) {
        while ((next = schedule_next(&host, jobs, n)) < n) {
            jobs[next].state = SCHEDULE_RUNNING;
            running++;
        }
        need_true(running > 0);
        for (size_t i = 0; i < n; i++) {
            if (jobs[i].state != SCHEDULE_RUNNING)
                continue;
            jobs[i].state = SCHEDULE_OVER;
            running--;
            ended++;
            break;
        }
    }
    check_int((int64_t)ended, (int64_t)n);
}

TEST(a_host_that_is_too_small_is_told_what_is_needed)
{
    static const struct {
        const char *name;
        size_t devices;
        int64_t device_mb, host_mb;
        const char *error; /* NULL: it fits */
    } table[] = {
        { "a host of 2 GiB", 2, 1024, 1700,
          "2 devices of 1024 MiB and what runs beside need 3260 MiB of memory, 1700 MiB are "
          "available here" },
        { "one small device on it", 1, 512, 1700, NULL },
        { "just enough", 1, 1024, 2086, NULL },
        { "just not", 1, 1024, 2085, "1 device of 1024 MiB and what runs beside need 2086 MiB" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct schedule_host host = { .memory_mb = table[i].host_mb };
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", table[i].name);
        check_int(schedule_check(&host, table[i].devices, table[i].device_mb, &err),
                  table[i].error ? -ENOMEM : 0);
        if (table[i].error)
            check_has(err_text(err), table[i].error);
    }
}

CHECK_MAIN()
