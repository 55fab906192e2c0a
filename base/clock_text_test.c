/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/clock_text.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

TEST(a_time_stamp_is_utc_in_seconds)
{
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00Z" },
        { 1776795342999, "2026-04-21T18:15:42Z" },
        { -1, "1969-12-31T23:59:59Z" },
        { 951782400000, "2000-02-29T00:00:00Z" },
        { 253402300799000, "9999-12-31T23:59:59Z" },
        { 253402300800000, "1970-01-01T00:00:00Z" },
        { INT64_MAX, "1970-01-01T00:00:00Z" },
        { INT64_MIN, "1970-01-01T00:00:00Z" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLOCK_RFC3339_MAX];

        check_case("%jd", (intmax_t)cases[i].ms);
        check_str(clock_rfc3339(cases[i].ms, text), cases[i].want);
    }
}

TEST(rfc_3339_is_read_with_fractions_and_offsets)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-04-21T18:15:42Z", 1776795342000 },
        { "2026-04-21t18:15:42z", 1776795342000 },
        { "2026-04-21T18:15:42.5Z", 1776795342500 },
        { "2026-04-21T18:15:42.123456789Z", 1776795342123 },
        { "2026-04-21T20:15:42+02:00", 1776795342000 },
        { "2026-04-21T13:45:42-04:30", 1776795342000 },
        { "2026-04-21T18:15:42-00:00", 1776795342000 },
        { "2000-02-29T00:00:00Z", 951782400000 },
        { "2016-12-31T23:59:60Z", 1483228800000 },
        { "1969-12-31T23:59:59Z", -1000 },
        { "0000-01-01T00:00:00Z", -62167219200000 },
        { "9999-12-31T23:59:59Z", 253402300799000 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        int64_t ms = -7;

        check_case("%s", cases[i].text);
        check_ok(clock_parse_rfc3339(cases[i].text, &ms, &err), err);
        check_int(ms, cases[i].want);
    }
}

TEST(anything_else_is_refused_and_the_output_left_alone)
{
    static const char *const cases[] = {
        "",
        "now",
        "2026-04-21",
        "2026-04-21T18:15:42",
        "2026-04-21 18:15:42Z",
        "2026-4-21T18:15:42Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-21T24:00:00Z",
        "2026-04-21T18:60:00Z",
        "2026-04-21T18:15:61Z",
        "2026-04-21T18:15:42.Z",
        "2026-04-21T18:15:42Z ",
        " 2026-04-21T18:15:42Z",
        "2026-04-21T18:15:42+2:00",
        "2026-04-21T18:15:42+24:00",
        "2026-04-21T18:15:42+02",
        "-026-04-21T18:15:42Z",
        "2026-04-21T18:15:42ZZ",
        "2026-04-21T18:15",
        "+2026-04-21T18:15:42Z",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        int64_t ms = -7;

        check_case("%s", cases[i]);
        check_int(clock_parse_rfc3339(cases[i], &ms, &err), -EBADMSG);
        check_has(err_text(err), "is not a time like");
        check_int(ms, -7);
    }
}

TEST(what_is_written_can_be_read)
{
    for (int64_t ms = -62167219200000; ms < 253402300800000; ms += 86399000LL * 977) {
        char text[CLOCK_RFC3339_MAX];
        int64_t back = 0;

        need_true(clock_parse_rfc3339(clock_rfc3339(ms, text), &back, NULL) == 0);
        if (back != ms)
            check_int(back, ms);
    }
}

CHECK_MAIN()
