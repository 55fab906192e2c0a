/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/json.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

static json_t *parse(const char *text)
{
    CLEANUP_ERR struct err *err = NULL;
    json_t *value = NULL;

    need_ok(json_parse(text, strlen(text), 1 << 20, &value, &err), err);
    return value;
}

TEST(a_text_comes_back_with_its_order_or_sorted)
{
    CLEANUP_JSON json_t *value = parse(" { \"b\" : [1, 2.5, null, true], \"a\": \"\\u00e9\" } ");
    CLEANUP_FREE char *text = json_text(value), *sorted = json_text_sorted(value);

    check_str(text, "{\"b\":[1,2.5,null,true],\"a\":\"\xc3\xa9\"}");
    check_str(sorted, "{\"a\":\"\xc3\xa9\",\"b\":[1,2.5,null,true]}");
}

TEST(a_scalar_is_a_text_too)
{
    CLEANUP_JSON json_t *value = parse("\"x\"");
    CLEANUP_FREE char *text = json_text(value);

    check_str(text, "\"x\"");
}

TEST(bad_texts_are_refused_with_their_position)
{
    static const struct {
        const char *name, *text;
        size_t len; /* 0: strlen */
        const char *want;
    } cases[] = {
        { "empty", "", 0, "line 1 column 0" },
        { "cut off", "{\"a\":", 0, "line 1 column 5" },
        { "duplicate", "{\"a\":1,\n\"a\":2}", 0, "line 2 column 3: duplicate object key" },
        { "trailing", "{} {}", 0, "end of file expected" },
        { "raw NUL", "{}\0", 3, "end of file expected" },
        { "NUL in a string", "\"a\\u0000b\"", 0, "\\u0000 is not allowed" },
        { "NUL in a key", "{\"a\\u0000b\":1}", 0, "NUL" },
        { "not UTF-8", "\"\xff\"", 0, "unable to decode byte 0xff" },
        { "lone surrogate", "\"\\ud800\"", 0, "invalid Unicode" },
        { "huge integer", "99999999999999999999", 0, "too big integer" },
        { "comment", "/* */ {}", 0, "invalid token" },
        { "trailing comma", "[1,]", 0, "']'" },
        { "single quotes", "{'a':1}", 0, "line 1 column 2" },
        { "NaN", "[NaN]", 0, "invalid token" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        json_t *value = NULL;
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);

        check_case("%s", cases[i].name);
        check_int(json_parse(cases[i].text, len, 1000, &value, &err), -EBADMSG);
        check_has(err_text(err), cases[i].want);
        check_true(!value);
    }
}

TEST(size_and_depth_are_bounded)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf deep = BUF_INIT(100000);
    json_t *value = NULL;

    check_int(json_parse("[1,2]", 5, 4, &value, &err), -EMSGSIZE);
    check_has(err_text(err), "at most 4");
    for (int i = 0; i < 10000; i++)
        buf_addc(&deep, '[');
    check_int(json_parse(deep.data, deep.len, SIZE_MAX, &value, &err), -EBADMSG);
    check_has(err_text(err), "maximum parsing depth");
    for (int i = 0; i < 10000; i++)
        buf_addc(&deep, ']');
    check_int(json_parse(deep.data, deep.len, SIZE_MAX, &value, &err), -EBADMSG);
    check_true(!value);
}

TEST(paths_walk_objects_and_arrays)
{
    CLEANUP_JSON json_t *v =
            parse("{\"a\":{\"b\":[{\"c\":\"x\"},{\"c\":7}],\"0\":\"zero\"},\"n\":null}");

    check_str(json_path_str(v, "a.b.0.c"), "x");
    check_str(json_path_str(v, "a.0"), "zero");
    check_int(json_path_int(v, "a.b.1.c", -1), 7);
    check_int(json_path_int(v, "a.b.0.c", -1), -1);
    check_str(json_path_str(v, "a.b.1.c"), NULL);
    check_true(!json_path(v, "a.b.2"));
    check_true(!json_path(v, "a.b.x"));
    check_true(!json_path(v, "a.b.0.c.d"));
    check_true(!json_path(v, "a.b.-1"));
    check_true(!json_path(v, "a.b.99999999999999999999"));
    check_true(!json_path(v, "a..b"));
    check_true(json_is_null(json_path(v, "n")));
    check_true(json_path(v, "") == v);
    check_true(!json_path(NULL, "a"));
}

TEST(the_wide_parser_takes_what_an_api_server_stores)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\u0000y\"}" },
        { "[100000000000000000000]", "[1e20]" },
        { "[-100000000000000000000,1]", "[-1e20,1]" },
        { "[\"100000000000000000000\\\\\",1e400]", NULL },
        { "[\"\\\"100000000000000000000\",9223372036854775808,7]",
          "[\"\\\"100000000000000000000\",9.2233720368547758e18,7]" },
        { "[9223372036854775807,1.5]", "[9223372036854775807,1.5]" },
        { "[100000000000000000000", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_JSON json_t *value = NULL;
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *text = NULL;
        int r;

        check_case("%s", rows[i].text);
        r = json_parse_wide(rows[i].text, strlen(rows[i].text), 1000, &value, &err);
        check_int(r, rows[i].want ? 0 : -EBADMSG);
        text = value ? json_text(value) : NULL;
        check_str(text, rows[i].want);
    }
}

CHECK_MAIN()
