/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/report.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "rig/run/progress.h"

/* A run with everything that a report can show, and with everything that has to be escaped. */
static struct check_result checks[] = {
    { .sentence = (char[]){ "http 8080 of edge-1 says \"<hello> & #1\"" },
      .verdict = VERDICT_NO,
      .asked = true,
      .last = "200: \033[31mnot\xff that]]>",
      .asked_ms_ago = 200,
      .same_ms = 130000,
      .seen = { { .at_ms = 0,
                  .for_ms = 2500,
                  .blind = true,
                  .text = (char[]){ "connection refused" } },
                { .at_ms = 2500,
                  .for_ms = 47300,
                  .verdict = VERDICT_YES,
                  .text = (char[]){ "200: <hello> & #1" } },
                { .at_ms = 49800,
                  .for_ms = 130000,
                  .text = (char[]){ "200: \033[31mnot\xff that]]>" } } },
      .n_seen = 3 },
    { .sentence = (char[]){ "device edge-1 has the same identity" },
      .verdict = VERDICT_YES,
      .asked = true },
    { .sentence = (char[]){ "device edge-1 is reachable" } },
};

static struct step_result power_steps[] = {
    { .name = (char[]){ "lab" }, .result = RESULT_PASSED, .took_ms = 30000 },
    { .name = (char[]){ "the fleet is up; #2" }, .result = RESULT_PASSED, .took_ms = 1234 },
    { .name = (char[]){ "power <returns>" },
      .result = RESULT_FAILED,
      .took_ms = 180000,
      .within_ms = 180000,
      .factor = 1.6,
      .failure = (char[]){ "the deadline has passed\nsecond line" },
      .checks = checks,
      .n_checks = ARRAY_LEN(checks),
      .closest_held = 2,
      .closest_ms = 47000,
      .closest_missed =
              (char *[]){ (char[]){ "device edge-1 is reachable: Reachable=False" }, NULL } },
    { .name = (char[]){ "and nothing moves" }, .result = RESULT_SKIPPED },
};

static struct step_result hello_steps[] = {
    { .name = (char[]){ "applied" }, .result = RESULT_INTERRUPTED, .took_ms = 10 },
};

static const struct history power = {
    .run = { .scenario = (char[]){ "power-cycle" }, .began_wall_ms = INT64_C(1776795342000) },
    .result = { .result = RESULT_FAILED, .steps = power_steps, .n_steps = ARRAY_LEN(power_steps) },
    .evidence = (char[]){ "/runs/a&b" },
};
static const struct history hello = {
    .run = { .scenario = (char[]){ "hello" }, .began_wall_ms = INT64_C(1776795542000) },
    .result = { .result = RESULT_INTERRUPTED,
                .steps = hello_steps,
                .n_steps = ARRAY_LEN(hello_steps) },
};
static const struct history *const runs[] = { &power, &hello };

TEST(junit)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

    report_junit(runs, ARRAY_LEN(runs), &out);
    check_golden(buf_str(&out), "rig/run/testdata/junit.xml");
}

TEST(tap)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

    report_tap(runs, ARRAY_LEN(runs), &out);
    check_golden(buf_str(&out), "rig/run/testdata/report.tap");
}

TEST(bytes_that_are_no_text_are_replaced)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        { "plain\ttext\n", "plain\ttext\n" },
        { "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x98\x80",
          "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "\x01\x1b[2J\x7f", "??[2J?" },
        { "\xff\xc3", "??" },
        { "\xc0\x80", "??" },
        { "\xed\xa0\x80", "???" },
        { "\xf4\x90\x80\x80", "????" },
        { "\xef\xbf\xbf", "???" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);

        check_case("row %zu", i);
        report_clean(&out, table[i].in);
        check_str(buf_str(&out), table[i].out);
    }
}

/* What a progress of this width prints of a short story. */
static char *told(int width)
{
    struct step_result step = {
        .name = (char[]){ "power returns" }, .n_checks = 1, .within_ms = 180000, .factor = 1.6
    };
    struct sentence action = { .text = (char[]){ "restore power of edge-1" } };
    struct check_result check = checks[0];
    struct watcher w = { 0 };
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct progress *p = progress_new(out, width);

    progress_watch(p, &w);
    progress_status(p, "machine edge-1: waiting for SSH");
    w.step(&step, 3, 4, w.userdata);
    w.acted(&action, "fault", "it boots", w.userdata);
    w.acted(&action, "failed", "told by the step", w.userdata);
    w.acted(&action, "undo", "by: heal of edge-1", w.userdata);
    for (int64_t ms = 0; ms < 130000; ms += 250) {
        snprintf(check.last, sizeof(check.last), "%s", ms < 1000 ? "no answer" : "404: none");
        w.waiting(&check, ms, 180000, w.userdata);
        if (width) /* the rest is the same */
            break;
    }
    w.done(&power_steps[1], w.userdata);
    w.done(&power_steps[2], w.userdata);
    progress_free(p);
    fclose(out);
    return text;
}

TEST(progress_in_plain_lines)
{
    CLEANUP_FREE char *text = told(/* width= */ 0);

    check_golden(text, "rig/run/testdata/progress.plain");
}

TEST(progress_on_a_terminal_never_exceeds_its_width)
{
    CLEANUP_FREE char *text = told(/* width= */ 40);

    check_has(text, "\r\033[K  3/4 0ms of 3m00s  http 8080 of edge-1\r\033[K");
    check_has(text, "\r\033[Kok    the fleet is up; #2 (1.2s)\n");
}

CHECK_MAIN()
