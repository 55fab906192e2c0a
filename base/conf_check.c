/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Why not leave this to libcyaml: it reports the place of the last value that it read rather than
 * that of the mistake, takes any word but a few for `true`, and says neither which key was meant nor
 * which are missing. Bit fields, which nobody here uses, are left to it.
 */

#include "base/conf_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

struct checker {
    const char *name;
    struct err **err;
};

static int __attribute__((format(printf, 4, 5))) refuse(const struct checker *c, unsigned line,
                                                        unsigned column, const char *fmt, ...)
{
    CLEANUP_FREE char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    return err_new(c->err, EINVAL, "%s:%u:%u: %s", c->name, line, column, what);
}

static bool has_flag(const cyaml_schema_value_t *schema, enum cyaml_flag flag)
{
    return ((unsigned)schema->flags & (unsigned)flag) == (unsigned)flag;
}

static bool same(const cyaml_schema_value_t *schema, const char *a, const char *b)
{
    return has_flag(schema, CYAML_FLAG_CASE_INSENSITIVE) ? strcasecmp(a, b) == 0
                                                         : strcmp(a, b) == 0;
}

static const char *kind_name(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a map";
    default:
        return node->quoted ? "a text" : *node->text ? node->text : "nothing";
    }
}

static int wrong_type(const struct checker *c, const struct yaml_node *node, const char *path,
                      const char *want)
{
    return refuse(c, node->line, node->column, "%s must be %s, not %.60s", path, want,
                  kind_name(node));
}

/* --- scalars ------------------------------------------------------------------------------- */

/* Bits of the C type behind an integer of this schema, without the sign. */
static unsigned value_bits(const cyaml_schema_value_t *schema)
{
    unsigned bits = schema->data_size * 8 - (schema->type == CYAML_INT);

    return bits < 63 ? bits : 63; /* JSON integers end there */
}

static int check_integer(const struct checker *c, const struct yaml_node *node, const char *path,
                         const cyaml_schema_value_t *schema)
{
    CLEANUP_JSON json_t *value = node->kind == YAML_SCALAR ? yaml_to_json(node) : NULL;
    bool with_sign = schema->type == CYAML_INT;
    json_int_t top, n;

    /* libcyaml has no 0o notation. */
    if (!json_is_integer(value) || str_starts(node->text, "0o"))
        return wrong_type(c, node, path, "an integer");
    top = (json_int_t)((UINT64_C(1) << value_bits(schema)) - 1);
    n = json_integer_value(value);
    if (n > top || n < (with_sign ? -top - 1 : 0))
        return refuse(c, node->line, node->column, "%s must be between %jd and %jd, not %s", path,
                      (intmax_t)(with_sign ? -top - 1 : 0), (intmax_t)top, node->text);
    return 0;
}

static int check_bool(const struct checker *c, const struct yaml_node *node, const char *path)
{
    CLEANUP_JSON json_t *value = node->kind == YAML_SCALAR ? yaml_to_json(node) : NULL;

    return json_is_boolean(value) ? 0 : wrong_type(c, node, path, "true or false");
}

static int check_float(const struct checker *c, const struct yaml_node *node, const char *path)
{
    CLEANUP_JSON json_t *value = node->kind == YAML_SCALAR ? yaml_to_json(node) : NULL;

    return json_is_number(value) ? 0 : wrong_type(c, node, path, "a number");
}

/* A plain number or boolean is fine where a text is wanted; a null is not. */
static int check_string(const struct checker *c, const struct yaml_node *node, const char *path,
                        const cyaml_schema_value_t *schema)
{
    CLEANUP_JSON json_t *value = node->kind == YAML_SCALAR ? yaml_to_json(node) : NULL;
    size_t len;

    if (!value)
        return wrong_type(c, node, path, "a text");
    if (json_is_null(value))
        return wrong_type(c, node, path, "a text (in quotes if it is one)");
    len = strlen(node->text);
    if (len < schema->string.min && len == 0)
        return refuse(c, node->line, node->column, "%s must not be empty", path);
    if (len < schema->string.min)
        return refuse(c, node->line, node->column, "%s is shorter than %u bytes", path,
                      schema->string.min);
    if (len > schema->string.max)
        return refuse(c, node->line, node->column, "%s is longer than %u bytes", path,
                      schema->string.max);
    return 0;
}

/* For enumerations, and for each item of a list of flags. */
static int check_choice(const struct checker *c, const struct yaml_node *node, const char *path,
                        const cyaml_schema_value_t *schema)
{
    CLEANUP_STRV char **words = NULL;
    CLEANUP_FREE char *all = NULL;
    CLEANUP_JSON json_t *value = NULL;
    const char *near = NULL;

    if (node->kind == YAML_SCALAR) {
        value = yaml_to_json(node);
        if (json_is_integer(value) && !has_flag(schema, CYAML_FLAG_STRICT))
            return 0;
        for (uint32_t i = 0; i < schema->enumeration.count; i++)
            if (same(schema, schema->enumeration.strings[i].str, node->text))
                return 0;
    }
    for (uint32_t i = 0; i < schema->enumeration.count; i++)
        strv_add(&words, schema->enumeration.strings[i].str);
    all = strv_join(words, ", ");
    near = node->kind == YAML_SCALAR ? str_nearest(node->text, words) : NULL;
    return refuse(c, node->line, node->column, "%s must be one of %s, not %.60s%s%s%s", path, all,
                  node->kind == YAML_SCALAR ? node->text : kind_name(node),
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* --- collections --------------------------------------------------------------------------- */

static int check_value(const struct checker *c, const struct yaml_node *node, const char *path,
                       const cyaml_schema_value_t *schema);

static int check_list(const struct checker *c, const struct yaml_node *node, const char *path,
                      const cyaml_schema_value_t *schema)
{
    if (node->kind != YAML_LIST)
        return wrong_type(c, node, path, "a list");
    if (node->n_items < schema->sequence.min)
        return refuse(c, node->line, node->column, "%s needs at least %u item%s", path,
                      schema->sequence.min, schema->sequence.min == 1 ? "" : "s");
    for (size_t i = 0; i < node->n_items; i++) {
        CLEANUP_FREE char *item = xasprintf("item %zu of %s", i + 1, path);
        int r;

        if (i >= schema->sequence.max)
            return refuse(c, node->items[i]->line, node->items[i]->column,
                          "%s can have at most %u item%s", path, schema->sequence.max,
                          schema->sequence.max == 1 ? "" : "s");
        r = check_value(c, node->items[i], item, schema->sequence.entry);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_flags(const struct checker *c, const struct yaml_node *node, const char *path,
                       const cyaml_schema_value_t *schema)
{
    if (node->kind != YAML_LIST)
        return wrong_type(c, node, path, "a list");
    for (size_t i = 0; i < node->n_items; i++) {
        CLEANUP_FREE char *item = xasprintf("item %zu of %s", i + 1, path);
        int r = check_choice(c, node->items[i], item, schema);

        if (r < 0)
            return r;
    }
    return 0;
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_value_t *schema, const char *key)
{
    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key; f++)
        if (same(schema, f->key, key))
            return f;
    return NULL;
}

static int unknown_key(const struct checker *c, const struct yaml_node *value,
                       const cyaml_schema_value_t *schema)
{
    CLEANUP_STRV char **keys = NULL;
    const char *near = NULL;

    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key; f++)
        strv_add(&keys, f->key);
    near = str_nearest(value->key, keys);
    return refuse(c, value->key_line, value->key_column, "unknown key '%.60s'%s%s%s", value->key,
                  near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool has_key(const struct yaml_node *map, const cyaml_schema_value_t *schema,
                    const char *key)
{
    for (size_t i = 0; i < map->n_items; i++)
        if (same(schema, map->items[i]->key, key))
            return true;
    return false;
}

/* `path` is NULL for the top of the file. */
static int check_map(const struct checker *c, const struct yaml_node *node, const char *path,
                     const cyaml_schema_value_t *schema)
{
    int r;

    if (node->kind != YAML_MAP)
        return wrong_type(c, node, path ? path : "the file", "a map");
    /* Before the missing keys: a misspelt one explains a missing one. */
    for (size_t i = 0; i < node->n_items; i++)
        if (!find_field(schema, node->items[i]->key))
            return unknown_key(c, node->items[i], schema);
    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key; f++)
        if (!has_flag(&f->value, CYAML_FLAG_OPTIONAL) && !has_key(node, schema, f->key))
            return refuse(c, node->line, node->column, "missing key '%s'%s%s", f->key,
                          path ? " in " : "", path ? path : "");
    for (size_t i = 0; i < node->n_items; i++) {
        const struct yaml_node *value = node->items[i];
        CLEANUP_FREE char *inner = xasprintf("'%s'", value->key);

        r = check_value(c, value, inner, &find_field(schema, value->key)->value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether libcyaml takes this value for the NULL that the schema permits. */
static bool is_permitted_null(const struct yaml_node *node, const cyaml_schema_value_t *schema)
{
    if (node->kind != YAML_SCALAR || node->quoted)
        return false;
    if (has_flag(schema, CYAML_FLAG_POINTER_NULL_STR) &&
        strv_has(ARGV("null", "Null", "NULL", "~"), node->text))
        return true;
    return has_flag(schema, CYAML_FLAG_POINTER_NULL) && !*node->text;
}

static int check_value(const struct checker *c, const struct yaml_node *node, const char *path,
                       const cyaml_schema_value_t *schema)
{
    if (is_permitted_null(node, schema))
        return 0;
    switch (schema->type) {
    case CYAML_INT:
    case CYAML_UINT:
        return check_integer(c, node, path, schema);
    case CYAML_BOOL:
        return check_bool(c, node, path);
    case CYAML_FLOAT:
        return check_float(c, node, path);
    case CYAML_STRING:
        return check_string(c, node, path, schema);
    case CYAML_ENUM:
        return check_choice(c, node, path, schema);
    case CYAML_FLAGS:
        return check_flags(c, node, path, schema);
    case CYAML_MAPPING:
        return check_map(c, node, path, schema);
    case CYAML_SEQUENCE:
    case CYAML_SEQUENCE_FIXED:
        return check_list(c, node, path, schema);
    default:
        return 0;
    }
}

int conf_check(const char *name, const struct yaml_node *root, const cyaml_schema_value_t *schema,
               struct err **err)
{
    struct checker c = { .name = name, .err = err };

    return check_value(&c, root, NULL, schema);
}
