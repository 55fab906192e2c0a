/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/strv.h"

#include "base/check.h"

TEST(a_null_vector_is_empty)
{
    CLEANUP_STRV char **copy = strv_copy(NULL);
    CLEANUP_FREE char *joined = strv_join(NULL, ", ");

    check_int(strv_len(NULL), 0);
    check_true(!strv_has(NULL, "a"));
    check_true(copy && !copy[0]);
    check_str(joined, "");
    strv_sort(NULL);
    strv_free(NULL);
}

TEST(strings_are_added_found_sorted_and_joined)
{
    CLEANUP_STRV char **v = NULL;
    CLEANUP_STRV char **copy = NULL;
    CLEANUP_FREE char *joined = NULL;

    for (int i = 9; i >= 0; i--)
        strv_addf(&v, "n%d", i);
    strv_add(&v, "a");
    check_int(strv_len(v), 11);
    check_true(strv_has(v, "n3"));
    check_true(!strv_has(v, "n"));
    copy = strv_copy(v);
    strv_sort(copy);
    joined = strv_join(copy, " ");
    check_str(joined, "a n0 n1 n2 n3 n4 n5 n6 n7 n8 n9");
    check_str(v[0], "n9");
}

TEST(splitting_drops_empty_pieces)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" }, { ",,", "" }, { "a", "a" }, { ",a,,b c,", "a|b|c" }, { "a b", "a|b" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP_STRV char **v = strv_split(cases[i].text, ", ");
        CLEANUP_FREE char *joined = strv_join(v, "|");

        check_case("%s", cases[i].text);
        check_str(joined, cases[i].want);
    }
}

TEST(prefixes_suffixes_and_equality)
{
    check_true(str_starts("device-1", "device-"));
    check_true(!str_starts("dev", "device-"));
    check_true(str_starts("x", ""));
    check_true(str_ends("a.yml", ".yml"));
    check_true(!str_ends("yml", ".yml"));
    check_true(str_eq(NULL, NULL));
    check_true(!str_eq(NULL, ""));
    check_true(!str_eq("", NULL));
    check_true(str_eq("a", "a"));
}

TEST(the_nearest_candidate_is_near_enough_or_none)
{
    char *const *words = ARGV("heartbeat", "run", "report-dir", "list", "up", "down");
    static const struct {
        const char *typed, *want;
    } cases[] = {
        { "hartbeat", "heartbeat" },
        { "haertbeat", "heartbeat" },
        { "HEARTBEAT", "heartbeat" },
        { "rnu", "run" },
        { "reportdir", "report-dir" },
        { "lsit", "list" },
        { "dwon", "down" },
        { "uo", "up" },
        { "x", NULL },
        { "", NULL },
        { "frobnicate", NULL },
        { "qq", NULL },
        { "a-very-long-word-that-no-table-of-commands-will-ever-have-in-it-at-all", NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case("%s", cases[i].typed);
        check_str(str_nearest(cases[i].typed, words), cases[i].want);
    }
    check_str(str_nearest("a", NULL), NULL);
}

CHECK_MAIN()
