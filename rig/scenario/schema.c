/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. Each form of format.h becomes a schema; forms that contain others refer to
 * "definitions". A sentence is any of the patterns of its kind, as a regular expression; one with a
 * variable in it may become anything, so it is accepted. For completion each verb is also a snippet,
 * which is an extension of editors that validators pass over.
 */

#include "rig/scenario/schema.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/scenario/format.h"
#include "rig/scenario/param.h"
#include "rig/scenario/scenario.h"
#include "rig/scenario/variables.h"

#define REGEX_MAX 4096
#define VARIABLE "\\$\\{"
#define WORD "^[A-Za-z0-9_][-_.A-Za-z0-9]{0,62}$"
#define DEVICE_NAME "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

static json_t *must(json_t *value)
{
    if (!value)
        abort();
    return value;
}

#define PACK(...) must(json_pack(__VA_ARGS__))

static json_t *ref(const char *name)
{
    CLEANUP_FREE char *path = xasprintf("#/definitions/%s", name);

    return PACK("{s:s}", "$ref", path);
}

static json_t *strings(const char *const *list)
{
    json_t *array = must(json_array());

    for (; *list; list++)
        json_array_append_new(array, must(json_string(*list)));
    return array;
}

/* A text that fits, or has a variable in it. */
static json_t *text_like(const char *regex)
{
    return PACK("{s:s, s:[{s:s}, {s:s}]}", "type", "string", "anyOf", "pattern", regex, "pattern",
                VARIABLE);
}

/* A list of `item`, of which one may stand alone. */
static json_t *one_or_more(json_t *item, int min)
{
    return PACK("{s:[O, {s:s, s:i, s:o}]}", "anyOf", item, "type", "array", "minItems", min,
                "items", item);
}

/* --- Sentences ------------------------------------------------------------------------------- */

static void add_literal(struct buf *b, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\^$.|?*+()[]{}", word[i]))
            buf_addc(b, '\\');
        buf_addc(b, word[i]);
    }
}

static void add_param(struct buf *b, const char *word)
{
    const char *regex = param_type_find(word)->regex;

    buf_addf(b, "(?:\"[^\"]+\"|%s)", regex);
    if (str_ends(word, "..."))
        buf_addf(b, "(?:\\s+(?:\"[^\"]+\"|%s))*", regex);
}

static char *regex_of(const char *pattern)
{
    CLEANUP_STRV char **words = strv_split(pattern, " ");
    CLEANUP_BUF struct buf b = BUF_INIT(REGEX_MAX);

    buf_adds(&b, "^\\s*");
    for (char **w = words; *w; w++) {
        if (w > words)
            buf_adds(&b, "\\s+");
        if (isupper((unsigned char)**w))
            add_param(&b, *w);
        else
            add_literal(&b, *w, strlen(*w));
    }
    buf_adds(&b, "\\s*$");
    if (b.overflow)
        abort();
    return buf_steal(&b);
}

/* "cut power of ${1:DEVICE}": an editor goes from parameter to parameter. */
static char *snippet_of(const char *pattern)
{
    CLEANUP_STRV char **words = strv_split(pattern, " ");
    CLEANUP_BUF struct buf b = BUF_INIT(REGEX_MAX);
    int n = 0;

    for (char **w = words; *w; w++) {
        if (w > words)
            buf_addc(&b, ' ');
        if (isupper((unsigned char)**w))
            buf_addf(&b, "${%d:%.*s}", ++n, (int)strcspn(*w, "."), *w);
        else
            buf_adds(&b, *w);
    }
    return buf_steal(&b);
}

static json_t *sentence_schema(const struct verb *verbs, size_t n, enum verb_kind kind)
{
    json_t *any = must(json_array()), *snippets = must(json_array());

    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *regex = NULL, *snippet = NULL;

        if (verbs[i].kind != kind)
            continue;
        regex = regex_of(verbs[i].pattern);
        snippet = snippet_of(verbs[i].pattern);
        json_array_append_new(any, PACK("{s:s, s:s, s:s}", "title", verbs[i].pattern, "description",
                                        verbs[i].help, "pattern", regex));
        json_array_append_new(snippets, PACK("{s:s, s:s, s:s}", "label", verbs[i].pattern,
                                             "description", verbs[i].help, "body", snippet));
    }
    json_array_append_new(any, PACK("{s:s, s:s}", "description",
                                    "a sentence with a variable, which `rig check` understands",
                                    "pattern", VARIABLE));
    return PACK("{s:s, s:i, s:o, s:o}", "type", "string", "maxLength", SENTENCE_MAX, "anyOf", any,
                "defaultSnippets", snippets);
}

static json_t *sentences(const char *kind)
{
    CLEANUP_FREE char *name = xasprintf("%s-sentence", kind);
    CLEANUP_JSON json_t *item = ref(name);

    return one_or_more(item, 1);
}

/* --- Forms ----------------------------------------------------------------------------------- */

static json_t *values_of(const char *names, json_t *value)
{
    return PACK("{s:s, s:{s:s, s:i}, s:o}", "type", "object", "propertyNames", "pattern", names,
                "maxLength", 32, "additionalProperties", value);
}

static json_t *matrix_schema(void)
{
    json_t *any = PACK("{s:s, s:i, s:b, s:o}", "type", "array", "minItems", 1, "uniqueItems", 1,
                       "items", ref("scalar"));
    json_t *arch = PACK("{s:s, s:i, s:b, s:{s:o}}", "type", "array", "minItems", 1, "uniqueItems",
                        1, "items", "enum", strings(format_archs));
    json_t *matrix = values_of("^" FORMAT_VARIABLE "$", any);

    json_object_set_new(matrix, "properties", PACK("{s:o}", "arch", arch));
    json_object_set_new(matrix, "minProperties", json_integer(1));
    json_object_set_new(matrix, "maxProperties", json_integer(MATRIX_MAX_AXES));
    return matrix;
}

static json_t *words_schema(json_t *word, int min)
{
    json_t *schema = one_or_more(word, min);

    json_decref(word);
    return schema;
}

static json_t *needs_schema(void)
{
    return words_schema(PACK("{s:o}", "enum", strings(scenario_needs)), 0);
}

static json_t *list_schema(const char *name, int max)
{
    return PACK("{s:s, s:i, s:i, s:o}", "type", "array", "minItems", 1, "maxItems", max, "items",
                ref(name));
}

static json_t *count_schema(void)
{
    return PACK("{s:[{s:s, s:i, s:i}, o]}", "anyOf", "type", "integer", "minimum", 1, "maximum",
                SCENARIO_MAX_DEVICES, text_like("^[0-9]{1,3}$"));
}

static json_t *arch_schema(void)
{
    return PACK("{s:[{s:o}, {s:s}]}", "anyOf", "enum", strings(format_archs), "pattern", VARIABLE);
}

static json_t *duration_schema(void)
{
    CLEANUP_FREE char *regex = xasprintf("^%s$", param_type_find("DURATION")->regex);

    return text_like(regex);
}

static json_t *form_schema(enum form form)
{
    switch (form) {
    case FORM_NAME:
        return ref("word");
    case FORM_TEXT:
        return ref("text");
    case FORM_TAGS:
        return words_schema(ref("word"), 0);
    case FORM_NEEDS:
        return needs_schema();
    case FORM_VARS:
        return values_of("^" FORMAT_VARIABLE "$", ref("scalar"));
    case FORM_MATRIX:
        return matrix_schema();
    case FORM_TOPOLOGY:
        return ref("topology");
    case FORM_DEVICES:
        return list_schema("device", SCENARIO_MAX_DEVICES);
    case FORM_DEVICE_NAME:
        return PACK("{s:[{s:s}, o]}", "anyOf", "type", "integer", text_like(DEVICE_NAME));
    case FORM_LABELS:
        return PACK("{s:s, s:o}", "type", "object", "additionalProperties", ref("scalar"));
    case FORM_ARCH:
        return arch_schema();
    case FORM_COUNT:
        return count_schema();
    case FORM_FILES:
        return words_schema(ref("text"), 1);
    case FORM_DO:
        return sentences("do");
    case FORM_FAULT:
        return sentences("fault");
    case FORM_EXPECT:
        return sentences("expect");
    case FORM_STEPS:
        return list_schema("step", SCENARIO_MAX_STEPS);
    case FORM_DURATION:
        return duration_schema();
    }
    abort();
}

/* --- Maps ------------------------------------------------------------------------------------ */

static json_t *map_schema(const struct format_key *keys)
{
    json_t *properties = must(json_object()), *required = must(json_array());

    for (; keys->name; keys++) {
        CLEANUP_JSON json_t *value = form_schema(keys->form);

        /* Beside "$ref" draft 7 passes over what else stands there. */
        json_object_set_new(properties, keys->name,
                            PACK("{s:s, s:[O]}", "description", keys->help, "allOf", value));
        if (keys->required)
            json_array_append_new(required, must(json_string(keys->name)));
    }
    return PACK("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
                required, "additionalProperties", 0);
}

static json_t *requires(const char *key) { return PACK("{s:[s]}", "required", key); }

/* At least one of `do`, `fault` and `expect`; with `expect` one of `within` and `holds`. */
static json_t *
step_schema(void)
{
    json_t *step = map_schema(format_step);

    json_object_set_new(step, "anyOf",
                        PACK("[o, o, o]", requires("do"), requires("fault"), requires("expect")));
    json_object_set_new(step, "if", requires("expect"));
    json_object_set_new(step, "then",
                        PACK("{s:[o, o]}", "oneOf", requires("within"), requires("holds")));
    json_object_set_new(
            step, "else",
            PACK("{s:{s:[o, o]}}", "not", "anyOf", requires("within"), requires("holds")));
    return step;
}

json_t *scenario_schema(const struct verb *verbs, size_t n)
{
    json_t *root = map_schema(format_scenario), *definitions;

    /* What is no string in YAML, like a step named 5, is its text. */
    definitions = PACK("{s:{s:[s, s, s], s:i}, s:{s:[s, s, s, s]}, s:{s:[s, s, s], s:s}}", "text",
                       "type", "string", "number", "boolean", "minLength", 1, "scalar", "type",
                       "string", "number", "boolean", "null", "word", "type", "string", "number",
                       "boolean", "pattern", WORD);
    json_object_set_new(definitions, "topology", map_schema(format_topology));
    json_object_set_new(definitions, "device", map_schema(format_device));
    json_object_set_new(definitions, "step", step_schema());
    json_object_set_new(definitions, "do-sentence", sentence_schema(verbs, n, VERB_DO));
    json_object_set_new(definitions, "fault-sentence", sentence_schema(verbs, n, VERB_FAULT));
    json_object_set_new(definitions, "expect-sentence", sentence_schema(verbs, n, VERB_EXPECT));
    json_object_set_new(root, "definitions", definitions);
    json_object_set_new(root, "$schema", json_string("http://json-schema.org/draft-07/schema#"));
    json_object_set_new(root, "title", json_string("fleet scenario"));
    return root;
}
