/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/summary.h"

#include "base/check.h"
#include "base/mem.h"

TEST(a_summary_tells_where_the_time_went)
{
    struct step_result steps[] = {
        { .name = (char[]){ "lab" }, .took_ms = 30000 },
        { .name = (char[]){ "up" }, .number = 1, .n_checks = 1, .took_ms = 5000, .late_ms = 300 },
        { .name = (char[]){ "power returns" },
          .number = 2,
          .n_checks = 1,
          .took_ms = 25000,
          .late_ms = 700 },
        { .name = (char[]){ "nothing moves" },
          .number = 3,
          .took_ms = 20000,
          .result = RESULT_FAILED },
    };
    char artefacts[] = "artefacts", machine[] = "machine edge-1", none[] = "";
    struct history_event events[] = {
        { 0, HISTORY_PHASE, none, (char[]){ "begin" }, artefacts, none, 0 },
        { 100, HISTORY_PHASE, none, (char[]){ "begin" }, machine, none, 0 },
        { 200, HISTORY_PHASE, none, (char[]){ "end" }, artefacts, none, 0 },
        { 24100, HISTORY_PHASE, none, (char[]){ "end" }, machine, none, 0 },
        { 24200, HISTORY_PHASE, none, (char[]){ "begin" }, (char[]){ "machine edge-2" }, none, 0 },
        { 30000, HISTORY_STEP, none, (char[]){ "failed" }, (char[]){ "lab" }, none, 0 },
        { 35000, HISTORY_ACTION, none, (char[]){ "fault" }, (char[]){ "restore power of edge-1" },
          none, 2 },
    };
    struct history h = {
        .run = { .scenario = (char[]){ "power-cycle" } },
        .events = events,
        .n_events = ARRAY_LEN(events),
        .result = { .result = RESULT_FAILED, .steps = steps, .n_steps = ARRAY_LEN(steps) },
        .ended = true,
        .down_ms = 1500,
        .total_ms = 81500,
        .cpu_ms = 630,
    };
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

    summary_text(&h, &out);
    check_golden(buf_str(&out), "rig/cmd/testdata/summary.txt");
}

CHECK_MAIN()
