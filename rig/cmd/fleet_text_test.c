/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_text.h"

#include "base/check.h"
#include "base/mem.h"

#define DIR "rig/cmd/testdata/fleet/"
#define NOW INT64_C(1776795942000)

static void check_status(const char *json, const char *text)
{
    CLEANUP_FREE char *source = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    CLEANUP_JSON json_t *status = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t len = 0;

    source = check_read(json, &len);
    need_ok(json_parse(source, len, 1 << 20, &status, &err), err);
    fleet_status_text(status, NOW, &out);
    check_golden(buf_str(&out), text);
}

TEST(a_status_is_read_as_tables)
{
    static const char *const cases[] = { "up", "in-trouble", "coming-up", "strange" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *json = xasprintf(DIR "%s.json", cases[i]);
        CLEANUP_FREE char *text = xasprintf(DIR "%s.txt", cases[i]);

        check_case("%s", cases[i]);
        check_status(json, text);
    }
}

TEST(the_summary_says_where_everything_is)
{
    static const struct {
        const char *name, *golden;
    } cases[] = { { "local", DIR "summary.txt" }, { "other", DIR "summary-other.txt" } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
        CLEANUP_FLEET_STATE struct fleet_state s = { 0 };
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", cases[i].name);
        need_ok(fleet_state_read("rig/cmd/testdata/state/up.json", &s, &err), err);
        fleet_summary(cases[i].name, &s, &out);
        check_golden(buf_str(&out), cases[i].golden);
    }
}

CHECK_MAIN()
