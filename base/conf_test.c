/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/conf.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

enum level { QUIET = 3, LOUD = 4 };

struct server {
    char *url;
    uint16_t port;
};

struct label {
    char *key, *value;
};

struct settings {
    char *device;
    int8_t offset;
    uint32_t heartbeat_s;
    bool tls;
    double ratio;
    enum level level;
    uint32_t features;
    char *note;
    struct server *nats;
    struct label *labels;
    unsigned labels_count;
};

static const cyaml_schema_field_t server_fields[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct server, url, 1, 40),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct server, port),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t label_fields[] = {
    CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER, struct label, key, 1, 10),
    CYAML_FIELD_STRING_PTR("value", CYAML_FLAG_POINTER, struct label, value, 0, 10),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t label_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct label, label_fields),
};

static const cyaml_strval_t levels[] = { { "quiet", QUIET }, { "loud", LOUD } };
static const cyaml_strval_t features[] = { { "logs", 1 }, { "upgrade", 2 } };

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("device", CYAML_FLAG_POINTER, struct settings, device, 3, 20),
    CYAML_FIELD_INT("offset", CYAML_FLAG_OPTIONAL, struct settings, offset),
    CYAML_FIELD_UINT("heartbeat_s", CYAML_FLAG_OPTIONAL, struct settings, heartbeat_s),
    CYAML_FIELD_BOOL("tls", CYAML_FLAG_OPTIONAL, struct settings, tls),
    CYAML_FIELD_FLOAT("ratio", CYAML_FLAG_OPTIONAL, struct settings, ratio),
    CYAML_FIELD_ENUM("level", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct settings, level,
                     levels, CYAML_ARRAY_LEN(levels)),
    CYAML_FIELD_FLAGS("features", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct settings,
                      features, features, CYAML_ARRAY_LEN(features)),
    CYAML_FIELD_STRING_PTR("note", CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL,
                           struct settings, note, 0, 20),
    CYAML_FIELD_MAPPING_PTR("nats", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings, nats,
                            server_fields),
    CYAML_FIELD_SEQUENCE("labels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings,
                         labels, &label_entry, 1, 2),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, fields),
};

/* Every field optional. */
static const cyaml_schema_field_t loose_fields[] = {
    CYAML_FIELD_UINT("heartbeat_s", CYAML_FLAG_OPTIONAL, struct settings, heartbeat_s),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t loose = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, loose_fields),
};

TEST(a_good_file_fills_the_struct)
{
    CLEANUP_ERR struct err *err = NULL;
    struct settings *s = NULL;

    need_ok(conf_load("base/testdata/conf/good.yml", &schema, (void **)&s, &err), err);
    check_str(s->device, "pi-17");
    check_int(s->offset, -128);
    check_int(s->heartbeat_s, 4294967295);
    check_true(s->tls);
    check_true(s->ratio == 0.25);
    check_int(s->level, LOUD);
    check_int(s->features, 3);
    check_str(s->note, NULL);
    check_str(s->nats->url, "tls://nats.example:4222");
    check_int(s->nats->port, 0xffff);
    need_true(s->labels_count == 2);
    check_str(s->labels[0].value, "1.10");
    check_str(s->labels[1].value, "");
    conf_free(&schema, s);
}

TEST(an_absent_optional_field_is_zero)
{
    static const char *const texts[] = { "", "# nothing\n", "---\n", "{}", "\n\n" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct settings *s = NULL;

        check_case("%zu", i);
        need_ok(conf_parse("t.yml", texts[i], strlen(texts[i]), &loose, (void **)&s, &err), err);
        need_true(s);
        check_int(s->heartbeat_s, 0);
        conf_free(&loose, s);
    }
    conf_free(&schema, NULL);
}

/* Each testdata/conf/bad/NAME.yml has its error in NAME.error. */
TEST(bad_files_are_refused_with_line_column_and_key)
{
    static const char folder[] = "base/testdata/conf/bad";
    CLEANUP_STRV char **names = NULL;
    DIR *dir = opendir(folder);
    struct dirent *entry = NULL;

    need_true(dir);
    while ((entry = readdir(dir)))
        if (str_ends(entry->d_name, ".yml"))
            strv_addf(&names, "%.*s", (int)strlen(entry->d_name) - 4, entry->d_name);
    closedir(dir);
    strv_sort(names);
    check_true(strv_len(names) >= 30);
    for (size_t i = 0; names && names[i]; i++) {
        CLEANUP_FREE char *yml = xasprintf("%s/%s.yml", folder, names[i]),
                          *path = xasprintf("%s/%s.error", folder, names[i]), *text = NULL,
                          *got = NULL;
        CLEANUP_ERR struct err *err = NULL;
        void *data = NULL;
        size_t len = 0;

        check_case("%s", names[i]);
        text = check_read(yml, &len);
        check_int(conf_parse("agent.yml", text, len, &schema, &data, &err), -EINVAL);
        check_true(!data);
        conf_free(&schema, data);
        got = xasprintf("%s\n", err_text(err));
        check_golden(got, path);
    }
}

TEST(an_absent_or_oversized_file_names_itself)
{
    CLEANUP_FREE char *path = xasprintf("%s/big.yml", check_tmpdir());
    CLEANUP_BUF struct buf big = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    void *data = NULL;

    check_int(conf_load("/no/such.yml", &schema, &data, &err), -ENOENT);
    check_has(err_text(err), "/no/such.yml");
    while (big.len <= 256 << 10)
        buf_adds(&big, "# a comment\n");
    check_ok(file_write(path, big.data, big.len, 0600, &err), err);
    check_int(conf_load(path, &schema, &data, &err), -EFBIG);
    check_has(err_text(err), path);
    check_int(conf_parse("t.yml", big.data, big.len, &schema, &data, &err), -EFBIG);
    check_true(!data);
}

static int secret(const char *bytes, size_t len, mode_t mode, char **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/secret", check_tmpdir());

    need_true(file_replace(path, bytes, len, mode, NULL) == 0);
    return conf_secret(path, ret, err);
}

TEST(a_secret_loses_one_newline_at_its_end)
{
    static const struct {
        const char *bytes, *want;
        mode_t mode;
    } cases[] = {
        { "hunter2", "hunter2", 0600 },
        { "hunter2\n", "hunter2", 0400 },
        { "two\nlines\n\n", "two\nlines\n", 0640 },
        { " x ", " x ", 0440 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *text = NULL;

        check_case("%zu", i);
        check_ok(secret(cases[i].bytes, strlen(cases[i].bytes), cases[i].mode, &text, &err), err);
        check_str(text, cases[i].want);
    }
}

TEST(a_secret_that_is_open_empty_or_broken_is_refused)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *big = xcalloc(1, (64 << 10) + 1);
    char *text = NULL;

    memset(big, 'x', (64 << 10) + 1);
    check_int(secret("x", 1, 0644, &text, &err), -EPERM);
    check_has(err_text(err), "its mode 644 lets everybody read or write it");
    check_has(err_next(err), "chmod o= ");
    check_int(secret("x", 1, 0602, &text, NULL), -EPERM);
    check_int(secret("", 0, 0600, &text, &err), -EINVAL);
    check_has(err_text(err), "it is empty");
    check_int(secret("\n", 1, 0600, &text, &err), -EINVAL);
    check_int(secret("a\0b", 3, 0600, &text, &err), -EINVAL);
    check_has(err_text(err), "NUL");
    check_int(secret(big, (64 << 10) + 1, 0600, &text, &err), -EFBIG);
    check_int(conf_secret("/no/such", &text, &err), -ENOENT);
    check_has(err_text(err), "/no/such");
    check_true(!text);
}

CHECK_MAIN()
