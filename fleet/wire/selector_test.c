/* SPDX-License-Identifier: AGPL-3.0-only */

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/labels.h"

static void decode(const char *text, struct selector *ret)
{
    CLEANUP_JSON json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(selector_decode(value, ret, &err), err);
}

/* `device` is "key=value,key=value". */
static void device_labels(const char *device, struct labels *ret)
{
    CLEANUP_STRV char **pairs = strv_split(device, ",");

    for (size_t i = 0; i < strv_len(pairs); i++) {
        char *equals = strchr(pairs[i], '=');

        *equals = '\0';
        labels_set(ret, pairs[i], equals + 1);
    }
}

static bool matches(const char *selector, const char *device)
{
    struct selector s = { 0 };
    struct labels l = { 0 };
    bool result;

    decode(selector, &s);
    device_labels(device, &l);
    result = selector_matches(&s, &l);
    selector_done(&s);
    labels_done(&l);
    return result;
}

/* A condition on "group", against a device without it, with the first value, with the second (where
 * there are two), and with another. */
TEST(every_operator_against_every_kind_of_label)
{
    static const struct {
        const char *op, *values;
        bool absent, first, second, other, empty;
    } rows[] = {
        { "In", "[\"a\"]", false, true, false, false, false },
        { "In", "[\"a\",\"b\"]", false, true, true, false, false },
        { "In", "[\"\"]", false, false, false, false, true },
        { "NotIn", "[\"a\"]", true, false, true, true, true },
        { "NotIn", "[\"a\",\"b\"]", true, false, false, true, true },
        { "NotIn", "[\"\"]", true, true, true, true, false },
        { "Exists", "[]", false, true, true, true, true },
        { "Exists", "null", false, true, true, true, true },
        { "DoesNotExist", "[]", true, false, false, false, false },
        { "DoesNotExist", "null", true, false, false, false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *selector = xasprintf(
                "{\"matchExpressions\":[{\"key\":\"group\",\"operator\":\"%s\",\"values\":%s}]}",
                rows[i].op, rows[i].values);

        check_case("%s %s", rows[i].op, rows[i].values);
        check_true(matches(selector, "") == rows[i].absent);
        check_true(matches(selector, "rack=a") == rows[i].absent);
        check_true(matches(selector, "group=a,rack=x") == rows[i].first);
        check_true(matches(selector, "group=b") == rows[i].second);
        check_true(matches(selector, "group=c") == rows[i].other);
        check_true(matches(selector, "group=") == rows[i].empty);
        check_true(matches(selector, "group=A") == rows[i].other);
    }
}

TEST(all_requirements_must_hold)
{
    static const char both[] =
            "{\"matchLabels\":{\"group\":\"a\",\"site\":\"x\"},\"matchExpressions\":["
            "{\"key\":\"rack\",\"operator\":\"Exists\"},"
            "{\"key\":\"retired\",\"operator\":\"DoesNotExist\"}]}";
    static const struct {
        const char *device;
        bool match;
    } rows[] = {
        { "group=a,site=x,rack=1", true },
        { "group=a,site=x,rack=1,other=1", true },
        { "group=b,site=x,rack=1", false },
        { "group=a,rack=1", false },
        { "group=a,site=x", false },
        { "group=a,site=x,rack=1,retired=", false },
        { "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_case("%s", rows[i].device);
        check_true(matches(both, rows[i].device) == rows[i].match);
    }
}

TEST(one_key_may_have_several_requirements)
{
    static const char selector[] =
            "{\"matchLabels\":{\"group\":\"a\"},\"matchExpressions\":["
            "{\"key\":\"group\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}";

    check_true(!matches(selector, "group=a"));
    check_true(!matches(selector, "group=b"));
    check_true(!matches(selector, ""));
}

TEST(an_empty_selector_matches_all_and_an_absent_one_none)
{
    static const struct {
        const char *selector;
        bool match;
    } rows[] = {
        { "{}", true },
        { "{\"matchLabels\":{},\"matchExpressions\":[]}", true },
        { "{\"matchLabels\":null,\"matchExpressions\":null}", true },
        { "{\"unknown\":1}", true },
        { "null", false },
        { NULL, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_case("%s", rows[i].selector ? rows[i].selector : "nothing");
        check_true(matches(rows[i].selector, "group=a") == rows[i].match);
        check_true(matches(rows[i].selector, "") == rows[i].match);
    }
}

#define IN(key, values) "{\"key\":\"" key "\",\"operator\":\"In\",\"values\":[" values "]}"
#define EXPRESSIONS(e) "{\"matchExpressions\":[" e "]}"

TEST(equality_looks_at_meaning_not_at_writing)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "{}", "{\"matchLabels\":{}}", true },
        { "{}", "null", false },
        { "null", NULL, true },
        { "{\"matchLabels\":{\"a\":\"1\",\"b\":\"2\"}}",
          "{\"matchLabels\":{\"b\":\"2\",\"a\":\"1\"}}", true },
        { "{\"matchLabels\":{\"a\":\"1\"}}", EXPRESSIONS(IN("a", "\"1\"")), true },
        { "{\"matchLabels\":{\"a\":\"1\"}}", EXPRESSIONS(IN("a", "\"2\"")), false },
        { "{\"matchLabels\":{\"a\":\"1\"}}", EXPRESSIONS(IN("a", "\"1\",\"2\"")), false },
        { EXPRESSIONS(IN("a", "\"1\",\"2\"")), EXPRESSIONS(IN("a", "\"2\",\"1\",\"2\"")), true },
        { EXPRESSIONS(IN("a", "\"1\"") "," IN("b", "\"1\"")),
          EXPRESSIONS(IN("b", "\"1\"") "," IN("a", "\"1\"")), true },
        { EXPRESSIONS(IN("a", "\"1\"") "," IN("a", "\"2\"")),
          EXPRESSIONS(IN("a", "\"2\"") "," IN("a", "\"1\"")), true },
        { EXPRESSIONS("{\"key\":\"a\",\"operator\":\"Exists\"}"),
          EXPRESSIONS("{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[]}"), true },
        { EXPRESSIONS("{\"key\":\"a\",\"operator\":\"Exists\"}"),
          EXPRESSIONS("{\"key\":\"a\",\"operator\":\"DoesNotExist\"}"), false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct selector a = { 0 }, b = { 0 };

        check_case("%s %s", rows[i].a, rows[i].b ? rows[i].b : "nothing");
        decode(rows[i].a, &a);
        decode(rows[i].b, &b);
        check_true(selector_equal(&a, &b) == rows[i].equal);
        check_true(selector_equal(&b, &a) == rows[i].equal);
        selector_done(&a);
        selector_done(&b);
    }
}

/* Selectors that are refused: resource_test.c, as parts of a Deployment. */

CHECK_MAIN()
