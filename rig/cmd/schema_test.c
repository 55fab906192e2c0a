/* SPDX-License-Identifier: AGPL-3.0-only */

/* The schema for editors, judged by a validator that is not ours: python3-jsonschema. */

#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "base/yaml.h"
#include "rig/scenario/param.h"
#include "rig/scenario/schema.h"
#include "rig/verbs/verb.h"

/* Prints "ok" or the first fault of each document in the list of the second file. */
static const char validator[] =
        "import json, sys\n"
        "from jsonschema import Draft7Validator\n"
        "schema = json.load(open(sys.argv[1]))\n"
        "Draft7Validator.check_schema(schema)\n"
        "v = Draft7Validator(schema)\n"
        "for d in json.load(open(sys.argv[2])):\n"
        "    e = next(v.iter_errors(d), None)\n"
        "    print('ok' if e is None else '/'.join(map(str, e.absolute_path)) + ': ' + e.message[:99])\n";

static char *written(const char *name, const json_t *value)
{
    char *path = xasprintf("%s/%s", check_tmpdir(), name);
    CLEANUP_FREE char *text = json_text(value);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0644, &err), err);
    return path;
}

/* What the validator says of each of `documents`. */
static char **verdicts(const json_t *documents)
{
    CLEANUP_JSON json_t *schema = scenario_schema(verb_table, verb_table_len);
    CLEANUP_FREE char *schema_path = written("schema.json", schema);
    CLEANUP_FREE char *documents_path = written("documents.json", documents);
    CLEANUP_FREE char *out = xasprintf("%s/out", check_tmpdir()), *text = NULL;
    CLEANUP_FCLOSE FILE *f = fopen(out, "w+e");
    CLEANUP_ERR struct err *err = NULL;
    struct proc_spec spec = {
        .argv = ARGV("python3", "-c", validator, schema_path, documents_path),
    };
    struct proc p = { 0 };
    char **lines;

    need_true(f != NULL);
    spec.out_fd = fileno(f);
    need_ok(proc_spawn(&spec, &p, &err), err);
    need_ok(proc_wait(&p, 60000, &err), err);
    need_ok(file_read(out, 1 << 20, &text, NULL, &err), err);
    if (!check_int(p.status, 0))
        check_str(text, "");
    lines = strv_split(text, "\n");
    need_true(strv_len(lines) == json_array_size(documents));
    return lines;
}

static void add_file(json_t *documents, const char *path)
{
    CLEANUP_FREE char *text = check_read(path, NULL);
    CLEANUP_ERR struct err *err = NULL;
    struct yaml_node **docs = NULL;
    size_t n = 0;

    need_ok(yaml_parse(path, text, strlen(text), &docs, &n, &err), err);
    need_true(n == 1);
    json_array_append_new(documents, yaml_to_json(docs[0]));
    yaml_free_all(docs, n);
}

TEST(every_scenario_of_ours_is_valid)
{
    CLEANUP_JSON json_t *documents = json_array();
    CLEANUP_STRV char **names = NULL, **lines = NULL;
    DIR *dir = opendir("scenarios");

    need_true(dir != NULL);
    for (struct dirent *d; (d = readdir(dir));)
        if (str_ends(d->d_name, ".yml"))
            strv_addf(&names, "scenarios/%s", d->d_name);
    closedir(dir);
    strv_add(&names, "rig/cmd/testdata/every-key.yml");
    need_true(strv_len(names) >= 4);
    for (char **n = names; *n; n++)
        add_file(documents, *n);
    lines = verdicts(documents);
    for (size_t i = 0; names[i]; i++) {
        check_case("%s", names[i]);
        check_str(lines[i], "ok");
    }
}

TEST(bad_scenarios_are_refused)
{
    static const char *const bad[] = {
        "always-is-an-action",
        "bad-durations",
        "bad-finally",
        "bad-matrix",
        "bad-name-and-tags",
        "bad-parameters",
        "bad-vars",
        "device-counts",
        "device-labels-and-arch",
        "device-names",
        "empty-matrix",
        "empty-step",
        "matrix-with-nine-lists",
        "missing-keys",
        "missing-within",
        "misspelt-keys",
        "needs",
        "no-devices",
        "no-steps",
        "not-a-map",
        "sentence-is-a-map",
        "sentence-too-long",
        "step-without-name",
        "too-many-devices",
        "unknown-verb",
        "variables-where-none-are",
        "vars-and-matrix-are-lists",
        "within-and-holds",
        "within-without-expect",
        "wrong-kind",
        "wrong-types",
    };
    CLEANUP_JSON json_t *documents = json_array();
    CLEANUP_STRV char **lines = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_FREE char *path = xasprintf("rig/scenario/testdata/bad/%s/input.yml", bad[i]);

        add_file(documents, path);
    }
    lines = verdicts(documents);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        check_case("%s", bad[i]);
        check_true(!str_eq(lines[i], "ok"));
    }
}

/* A scenario of one step with one sentence. */
static json_t *scenario_of(enum verb_kind kind, const char *sentence)
{
    json_t *step = json_pack("{s:s, s:s}", "name", "n", verb_kind_text(kind), sentence);

    if (kind == VERB_EXPECT)
        json_object_set_new(step, "within", json_string("5m"));
    return json_pack("{s:s, s:s, s:{s:[{s:s}]}, s:[o]}", "scenario", "s", "story", "s", "topology",
                     "devices", "name", "edge-1", "steps", step);
}

/* A sentence of a pattern, with examples in place of parameters. */
static char *example_of(const char *pattern)
{
    CLEANUP_STRV char **words = strv_split(pattern, " ");

    for (char **w = words; *w; w++)
        if (isupper((unsigned char)**w))
            replace_str(w, param_type_find(*w)->example);
    return strv_join(words, " ");
}

TEST(sentences_of_every_verb_are_valid_and_misspelt_ones_are_not)
{
    CLEANUP_JSON json_t *documents = json_array();
    CLEANUP_STRV char **lines = NULL;

    for (size_t i = 0; i < verb_table_len; i++) {
        CLEANUP_FREE char *sentence = example_of(verb_table[i].pattern);
        CLEANUP_FREE char *wrong = xasprintf("x%s", sentence);
        CLEANUP_FREE char *variable = xasprintf("%s ${any}", wrong);

        json_array_append_new(documents, scenario_of(verb_table[i].kind, sentence));
        json_array_append_new(documents, scenario_of(verb_table[i].kind, wrong));
        json_array_append_new(documents, scenario_of(verb_table[i].kind, variable));
    }
    lines = verdicts(documents);
    for (size_t i = 0; i < verb_table_len; i++) {
        check_case("%s", verb_table[i].pattern);
        check_str(lines[3 * i], "ok");
        check_has(lines[3 * i + 1], "is not valid under any");
        check_str(lines[3 * i + 2], "ok");
    }
}

CHECK_MAIN()
