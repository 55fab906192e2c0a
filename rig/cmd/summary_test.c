/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/summary.h"

#include "base/check.h"

TEST(a_summary_tells_where_the_time_went)
{
    static const struct verb restore = { VERB_FAULT, "restore power of DEVICE...", "", NULL };
    struct sentence action = { .verb = &restore };
    struct step steps[] = {
        { .name = (char[]){ "up" }, .n_expects = 1 },
        { .name = (char[]){ "power returns" }, .actions = &action, .n_actions = 1, .n_expects = 1 },
        { .name = (char[]){ "nothing moves" }, .n_expects = 1 },
    };
    struct scenario scenario = { .name = (char[]){ "power-cycle" }, .steps = steps, .n_steps = 3 };
    struct step_result results[] = {
        { .name = (char[]){ "lab" }, .took_ms = 30000 },
        { .name = (char[]){ "up" }, .took_ms = 5000, .late_ms = 300 },
        { .name = (char[]){ "power returns" }, .took_ms = 25000, .late_ms = 700 },
        { .name = (char[]){ "nothing moves" }, .took_ms = 20000, .result = RESULT_FAILED },
    };
    struct run_result result = { .result = RESULT_FAILED, .steps = results, .n_steps = 4 };
    struct lab_phase phases[] = { { "artefacts", 0, 200 }, { "machine edge-1", 200, 24200 } };
    struct summary s = { .scenario = &scenario,
                         .result = &result,
                         .phases = phases,
                         .n_phases = 2,
                         .down_ms = 1500,
                         .total_ms = 81500,
                         .cpu_ms = 630 };
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

    summary_text(&s, &out);
    check_golden(buf_str(&out), "rig/cmd/testdata/summary.txt");
}

CHECK_MAIN()
