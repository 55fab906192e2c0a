/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/labels.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define WORD_63 "a23456789b123456789c123456789d123456789e123456789f1234567890123"
#define WORD_50 "a2345678901234567890123456789012345678901234567890"

static char *text_of(const struct labels *l)
{
    CLEANUP_JSON json_t *object = labels_encode(l);

    return json_text(object);
}

TEST(labels_are_sorted_and_unique)
{
    struct labels l = { 0 };
    CLEANUP_FREE char *text = NULL;

    check_str(labels_get(&l, "a"), NULL);
    labels_set(&l, "m", "1");
    labels_set(&l, "z", "2");
    labels_set(&l, "a", "3");
    labels_set(&l, "m", "4");
    text = text_of(&l);
    check_str(text, "{\"a\":\"3\",\"m\":\"4\",\"z\":\"2\"}");
    check_str(labels_get(&l, "a"), "3");
    check_str(labels_get(&l, "m"), "4");
    check_str(labels_get(&l, "z"), "2");
    check_str(labels_get(&l, "b"), NULL);
    check_str(labels_get(&l, "zz"), NULL);
    labels_done(&l);
    check_int((int64_t)l.n, 0);
}

TEST(a_copy_replaces_and_is_independent)
{
    struct labels a = { 0 }, b = { 0 };

    labels_set(&a, "group", "a");
    labels_set(&b, "old", "x");
    labels_copy(&b, &a);
    check_true(labels_equal(&a, &b));
    labels_set(&b, "group", "b");
    check_str(labels_get(&a, "group"), "a");
    check_true(!labels_equal(&a, &b));
    labels_copy(&b, &b);
    check_str(labels_get(&b, "group"), "b");
    labels_done(&a);
    labels_done(&b);
}

TEST(equality_looks_at_keys_and_values)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "{}", "{}", true },
        { "{\"a\":\"1\",\"b\":\"2\"}", "{\"b\":\"2\",\"a\":\"1\"}", true },
        { "{\"a\":\"1\"}", "{}", false },
        { "{\"a\":\"1\"}", "{\"a\":\"2\"}", false },
        { "{\"a\":\"1\"}", "{\"b\":\"1\"}", false },
        { "{\"a\":\"1\"}", "{\"a\":\"1\",\"b\":\"1\"}", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct labels a = { 0 }, b = { 0 };
        CLEANUP_JSON json_t *ja = json_loads(rows[i].a, 0, NULL),
                            *jb = json_loads(rows[i].b, 0, NULL);
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s %s", rows[i].a, rows[i].b);
        need_ok(labels_decode(ja, &a, &err), err);
        need_ok(labels_decode(jb, &b, &err), err);
        check_true(labels_equal(&a, &b) == rows[i].equal);
        check_true(labels_equal(&b, &a) == rows[i].equal);
        labels_done(&a);
        labels_done(&b);
    }
}

TEST(label_keys_and_values_follow_kubernetes)
{
    static const struct {
        const char *key, *value;
        bool good;
    } rows[] = {
        { "group", "a", true },
        { "group", "", true },
        { "a", "A", true },
        { "A_b.c-D9", "9_x.Y-z", true },
        { "example.org/group", "a", true },
        { "a-b.example/x", "a", true },
        { WORD_63, WORD_63, true },
        { WORD_50 "." WORD_50 "." WORD_50 "." WORD_50 "." WORD_50 "/x", "", false }, /* 254 */
        { WORD_50 "." WORD_50 "." WORD_50 "." WORD_50 ".a123456789/x", "", true },
        { WORD_63 "4", "a", false },
        { "group", WORD_63 "4", false },
        { "", "a", false },
        { "/", "a", false },
        { "/x", "a", false },
        { "example.org/", "a", false },
        { "a/b/c", "a", false },
        { "Example.org/x", "a", false },
        { "-a.org/x", "a", false },
        { "a-.org/x", "a", false },
        { "a..org/x", "a", false },
        { ".org/x", "a", false },
        { "org./x", "a", false },
        { "a_b/x", "a", false },
        { "-a", "a", false },
        { "a-", "a", false },
        { ".a", "a", false },
        { "a.", "a", false },
        { "a b", "a", false },
        { "group", "-a", false },
        { "group", "a.", false },
        { "group", "a b", false },
        { "group", "a/b", false },
        { "group", "\n", false },
        { "gr\xc3\xb6up", "a", false },
        { "group", "\xc3\xa4", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_ERR struct err *err = NULL;
        int r = label_check(rows[i].key, rows[i].value, &err);

        check_case("%s=%s", rows[i].key, rows[i].value);
        check_true((r == 0) == rows[i].good);
        check_true((err == NULL) == (r == 0));
    }
}

CHECK_MAIN()
