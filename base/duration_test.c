/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/duration.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

TEST(durations_are_read_with_their_units)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "200ms", 200 },         { "0s", 0 },
        { "20s", 20000 },         { "12.3s", 12300 },
        { "0.5ms", 0 },           { "5m", 300000 },
        { "1h30m", 5400000 },     { "1h02m03s4ms", 3723004 },
        { "4m05s", 245000 },      { "1d", 86400000 },
        { "1.5h", 5400000 },      { "365d", 31536000000 },
        { "8760h", 31536000000 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        int64_t ms = -1;

        check_case("%s", cases[i].text);
        check_ok(duration_parse(cases[i].text, &ms, &err), err);
        check_int(ms, cases[i].want);
    }
}

TEST(anything_else_is_refused_and_the_output_left_alone)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "it is empty" },
        { "20", "the unit is missing" },
        { "0", "the unit is missing" },
        { "1h30", "the unit is missing" },
        { "s", "a number is missing" },
        { "-5s", "a number is missing" },
        { " 5s", "a number is missing" },
        { "5 s", "the units are" },
        { "5s ", "the units are" },
        { "5sec", "the units are" },
        { "5S", "the units are" },
        { "30m1h", "from large to small" },
        { "1s1s", "from large to small" },
        { "5.s", "behind a point" },
        { "5.1234s", "behind a point" },
        { ".5s", "a number is missing" },
        { "366d", "more than 365 days" },
        { "365d1ms", "more than 365 days" },
        { "364d25h", "more than 365 days" },
        { "99999999999999999999s", "more than 365 days" },
        { "999999999999d", "more than 365 days" },
        { "1e3s", "the units are" },
        { "0x10s", "the units are" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        int64_t ms = -7;

        check_case("%s", cases[i].text);
        check_int(duration_parse(cases[i].text, &ms, &err), -EINVAL);
        check_has(err_text(err), cases[i].why);
        check_int(ms, -7);
    }
}

TEST(durations_are_written_in_the_unit_that_suits)
{
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        { 0, "0ms" },
        { 850, "850ms" },
        { 999, "999ms" },
        { 1000, "1.0s" },
        { 12349, "12.3s" },
        { 59999, "59.9s" },
        { 60000, "1m00s" },
        { 245000, "4m05s" },
        { 3599999, "59m59s" },
        { 3720000, "1h02m" },
        { 90000000, "25h00m" },
        { -1500, "-1.5s" },
        { INT64_MAX, "2562047788015h12m" },
        { INT64_MIN, "-2562047788015h12m" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[DURATION_TEXT_MAX];

        check_case("%jd", (intmax_t)cases[i].ms);
        check_str(duration_format(cases[i].ms, text), cases[i].want);
    }
}

CHECK_MAIN()
