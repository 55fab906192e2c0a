/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

/* The only document of `text`. */
static struct yaml_node *parse(const char *text)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE struct yaml_node **docs = NULL;
    size_t n = 0;

    need_ok(yaml_parse("t.yml", text, strlen(text), &docs, &n, &err), err);
    need_true(n == 1);
    return docs[0];
}

DEFINE_CLEANUP(struct yaml_node *, yaml_free)
#define CLEANUP_YAML CLEANUP(yaml_free)

static void check_error(const char *text, size_t len, int code, const char *want)
{
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 7;

    check_int(yaml_parse("t.yml", text, len, &docs, &n, &err), code);
    check_str(err_text(err), want);
    check_true(!docs && n == 7);
}

TEST(nodes_know_where_they_stand)
{
    CLEANUP_YAML struct yaml_node *root = parse("# comment\nname: hello\nsteps:\n  - do: wait\n"
                                                "    caf\xc3\xa9: \"x\"\n  - |\n    text\n");
    const struct yaml_node *steps = yaml_get(root, "steps"), *first;

    check_int(root->kind, YAML_MAP);
    check_int(root->n_items, 2);
    check_int(root->line, 2);
    check_str(yaml_get(root, "name")->text, "hello");
    check_int(yaml_get(root, "name")->line, 2);
    check_int(yaml_get(root, "name")->column, 7);
    check_int(yaml_get(root, "name")->key_column, 1);
    check_true(!yaml_get(root, "name")->quoted);
    check_int(steps->kind, YAML_LIST);
    check_int(steps->n_items, 2);
    first = steps->items[0];
    check_str(first->key, NULL);
    check_int(first->line, 4);
    check_int(first->column, 5);
    /* Columns count characters, as editors do, and not bytes. */
    check_int(first->items[1]->column, 11);
    check_int(first->items[1]->key_line, 5);
    check_true(first->items[1]->quoted);
    check_true(steps->items[1]->quoted);
    check_str(steps->items[1]->text, "text\n");
    check_true(!yaml_get(root, "gone"));
    check_true(!yaml_get(steps, "do"));
    check_true(!yaml_get(NULL, "do"));
}

TEST(a_file_may_hold_several_documents_or_none)
{
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {
        { "", 0 },
        { "# only a comment\n", 0 },
        { "---\n", 1 },
        { "a: 1\n---\nb: 2\n", 2 },
        { "---\na: 1\n---\n---\nc: 3\n...\n", 3 },
        { "\xef\xbb\xbf"
          "a: 1\n",
          1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct yaml_node **docs = NULL;
        size_t n = 7;

        check_case("%zu", i);
        check_ok(yaml_parse("t.yml", cases[i].text, strlen(cases[i].text), &docs, &n, &err), err);
        check_int(n, cases[i].want);
        yaml_free_all(docs, n);
    }
}

TEST(scalars_resolve_by_the_core_schema)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        { "~", "null" },
        { "null", "null" },
        { "NULL", "null" },
        { "", "null" },
        { "nUll", "\"nUll\"" },
        { "true", "true" },
        { "False", "false" },
        { "yes", "\"yes\"" },
        { "on", "\"on\"" },
        { "y", "\"y\"" },
        { "0", "0" },
        { "-0", "0" },
        { "+12", "12" },
        { "-19", "-19" },
        { "0o17", "15" },
        { "0x1F", "31" },
        { "0o8", "\"0o8\"" },
        { "0x", "\"0x\"" },
        { "-0x1", "\"-0x1\"" },
        { "9223372036854775807", "9223372036854775807" },
        { "9223372036854775808", "9.2233720368547758e18" },
        { "1.5", "1.5" },
        { ".5", "0.5" },
        { "1.", "1.0" },
        { "-1e3", "-1000.0" },
        { "1E-2", "0.01" },
        { "01.5", "1.5" },
        { "1e", "\"1e\"" },
        { ".", "\".\"" },
        { "-", "[null]" },
        { "1_000", "\"1_000\"" },
        { "12:30:45", "\"12:30:45\"" },
        { "2026-04-21", "\"2026-04-21\"" },
        { "1.2.3", "\"1.2.3\"" },
        { "'1'", "\"1\"" },
        { "\"true\"", "\"true\"" },
        { "''", "\"\"" },
        { "|\n  12\n", "\"12\\n\"" },
        { "inf", "\"inf\"" },
        { "nan", "\"nan\"" },
        { "[1, {a: b}, []]", "[1,{\"a\":\"b\"},[]]" },
        { "{b: 1, a: {}}", "{\"b\":1,\"a\":{}}" },
        { "1: x", "{\"1\":\"x\"}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text = xasprintf("--- %s\n", cases[i].yaml);
        CLEANUP_YAML struct yaml_node *node = NULL;
        CLEANUP_JSON json_t *json = NULL;
        CLEANUP_FREE char *got = NULL;

        check_case("%s", cases[i].yaml);
        if (strstr(cases[i].yaml, ": x") || strcmp(cases[i].yaml, "-") == 0)
            memcpy(text, "---\n", 4); /* block collections start on a line of their own */
        node = parse(text);
        json = yaml_to_json(node);
        got = json_text(json);
        check_str(got, cases[i].json);
    }
}

/* Each testdata/yaml/bad/NAME.yml has its error in NAME.error. */
TEST(bad_files_are_refused_with_line_and_column)
{
    static const char folder[] = "base/testdata/yaml/bad";
    CLEANUP_STRV char **names = NULL;
    DIR *dir = opendir(folder);
    struct dirent *entry = NULL;

    need_true(dir);
    while ((entry = readdir(dir)))
        if (str_ends(entry->d_name, ".yml"))
            strv_addf(&names, "%.*s", (int)strlen(entry->d_name) - 4, entry->d_name);
    closedir(dir);
    strv_sort(names);
    check_true(strv_len(names) >= 20);
    for (size_t i = 0; names && names[i]; i++) {
        CLEANUP_FREE char *yml = xasprintf("%s/%s.yml", folder, names[i]),
                          *path = xasprintf("%s/%s.error", folder, names[i]), *text = NULL,
                          *got = NULL;
        CLEANUP_ERR struct err *err = NULL;
        struct yaml_node **docs = NULL;
        size_t len = 0, n = 0;

        check_case("%s", names[i]);
        text = check_read(yml, &len);
        check_int(yaml_parse("t.yml", text, len, &docs, &n, &err), -EINVAL);
        yaml_free_all(docs, n);
        got = xasprintf("%s\n", err_text(err));
        check_golden(got, path);
    }
}

TEST(an_escaped_nul_is_refused)
{
    check_error("a: \"x\\0y\"", 9, -EINVAL, "t.yml:1:4: a text must not contain NUL");
    check_error("\"x\\0y\": a", 9, -EINVAL, "t.yml:1:1: a text must not contain NUL");
}

TEST(size_depth_and_number_of_nodes_are_bounded)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4 << 20);
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    for (int i = 0; i < 64; i++)
        buf_addc(&b, '[');
    for (int i = 0; i < 64; i++)
        buf_addc(&b, ']');
    check_ok(yaml_parse("t.yml", b.data, b.len, &docs, &n, &err), err);
    yaml_free_all(docs, n);
    docs = NULL;

    buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, '[');
    check_error(b.data, b.len, -EINVAL, "t.yml:1:65: nested more than 64 levels deep");

    buf_reset(&b);
    for (int i = 0; i < 100001; i++)
        buf_adds(&b, "- x\n");
    check_error(b.data, b.len, -EINVAL, "t.yml:100000:3: more than 100000 nodes");

    buf_reset(&b);
    for (int i = 0; i < (1 << 20) + 1; i++)
        buf_addc(&b, '#');
    check_error(b.data, b.len, -EFBIG, "t.yml: larger than 1048576 bytes");
}

TEST(a_map_with_very_many_keys_is_read_quickly)
{
    CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    int64_t start = check_now_ms();
    size_t n = 0;

    for (int i = 0; i < 90000; i++)
        buf_addf(&b, "k%05d: 1\n", i);
    check_ok(yaml_parse("t.yml", b.data, b.len, &docs, &n, &err), err);
    yaml_free_all(docs, n);
    check_true(check_now_ms() - start < 10000);
}

CHECK_MAIN()
