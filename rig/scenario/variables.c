/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/variables.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/scenario/format.h"
#include "rig/scenario/reader.h"

#define NAME_MAX_LEN 32
#define VALUE_MAX 200
#define EXPANDED_MAX (16 * 1024)

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

const char *variables_get(char *const *variables, const char *name)
{
    size_t len = strlen(name);

    for (; variables && *variables; variables++)
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=')
            return *variables + len + 1;
    return NULL;
}

static char **names_of(char *const *variables)
{
    char **names = NULL;

    for (; variables && *variables; variables++)
        strv_addf(&names, "%.*s", (int)strcspn(*variables, "="), *variables);
    return names;
}

/* --- Expanding ------------------------------------------------------------------------------- */

bool variables_in(const char *text)
{
    return strstr(text, "${") != NULL;
}

static void unknown(struct reader *r, const struct yaml_node *node, const char *name)
{
    CLEANUP_STRV char **names = names_of(r->s->variables);
    const char *nearest = str_nearest(name, names);

    reader_mistake(r, node, "there is no variable '%.80s'%s%s%s", name,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* The variable that `text`, which begins with "${", names; its end is put to *ret_end. */
static const char *value_at(struct reader *r, const struct yaml_node *node, const char *text,
                            const char **ret_end)
{
    const char *close = strchr(text, '}'), *value;
    CLEANUP_FREE char *name = NULL;

    if (!close) {
        reader_mistake(r, node, "'${' without a '}'; write '$${' for a text that contains '${'");
        return NULL;
    }
    name = xstrndup(text + 2, (size_t)(close - text - 2));
    value = variables_get(r->s->variables, name);
    if (!value)
        unknown(r, node, name);
    *ret_end = close + 1;
    return value;
}

char *variables_expand(struct reader *r, const struct yaml_node *node, const char *text)
{
    CLEANUP_BUF struct buf out = BUF_INIT(EXPANDED_MAX);

    while (*text && !out.overflow) {
        const char *value, *end = NULL;

        if (str_starts(text, "$${")) {
            buf_adds(&out, "${");
            text += 3;
        } else if (str_starts(text, "${")) {
            value = value_at(r, node, text, &end);
            if (!value)
                return NULL;
            buf_adds(&out, value);
            text = end;
        } else {
            buf_addc(&out, *text++);
        }
    }
    if (!out.overflow)
        return buf_steal(&out);
    reader_mistake(r, node, "with its variables this is longer than %d bytes", EXPANDED_MAX);
    return NULL;
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool good_value(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return strlen(text) <= VALUE_MAX && !variables_in(text);
}

#define VALUE_RULE "a value is one line of at most %d bytes, without variables in it"

/* A value in the file; NULL after a mistake. */
static const char *value_read(struct reader *r, const struct yaml_node *node)
{
    if (!reader_is(r, node, YAML_SCALAR, "a value"))
        return NULL;
    if (good_value(node->text))
        return node->text;
    reader_mistake(r, node, VALUE_RULE, VALUE_MAX);
    return NULL;
}

static bool good_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= NAME_MAX_LEN && strchr(LETTERS, name[0]) &&
           !name[strspn(name, LETTERS "0123456789_-")];
}

static void name_check(struct reader *r, const struct yaml_node *node)
{
    if (!good_name(node->key))
        reader_mistake_at(r, node->key_line, node->key_column,
                          "a variable's name is at most %d letters, digits, '_' and '-', "
                          "beginning with a letter: '%.80s' is not",
                          NAME_MAX_LEN, node->key);
}

static void vars_read(struct reader *r, const struct yaml_node *node, struct plan *plan)
{
    if (!reader_is(r, node, YAML_MAP, "'vars'"))
        return;
    for (size_t i = 0; i < node->n_items; i++) {
        const char *value = value_read(r, node->items[i]);

        name_check(r, node->items[i]);
        if (str_eq(node->items[i]->key, "arch"))
            reader_mistake_at(r, node->items[i]->key_line, node->items[i]->key_column,
                              "'arch' belongs in 'matrix'; for one run there is --arch");
        strv_addf(&plan->vars, "%s=%s", node->items[i]->key, value ? value : "");
    }
}

static void arch_check(struct reader *r, const struct yaml_node *node, const char *value)
{
    if (!strv_has((char *const *)format_archs, value))
        reader_mistake(r, node, "'arch' is x86_64 or aarch64, not '%.80s'", value);
}

static void axis_read(struct reader *r, const struct yaml_node *node, struct axis *axis)
{
    axis->name = node->key;
    if (!reader_is(r, node, YAML_LIST, "a list of values"))
        return;
    if (node->n_items == 0)
        reader_mistake(r, node, "'%s' is empty", node->key);
    for (size_t i = 0; i < node->n_items; i++) {
        const struct yaml_node *item = node->items[i];
        const char *value = value_read(r, item);

        if (!value)
            continue;
        if (strv_has(axis->values, value))
            reader_mistake(r, item, "'%s' stands there twice", value);
        if (str_eq(axis->name, "arch"))
            arch_check(r, item, value);
        strv_add(&axis->values, value);
        if (i == SCENARIO_MAX_VARIANTS)
            return; /* too many in any case, which variants_count() tells */
    }
}

static void matrix_read(struct reader *r, const struct yaml_node *node, struct plan *plan)
{
    if (!reader_is(r, node, YAML_MAP, "'matrix'"))
        return;
    if (node->n_items == 0)
        reader_mistake(r, node, "'matrix' is empty");
    if (node->n_items > MATRIX_MAX_AXES)
        reader_mistake(r, node, "a matrix has at most %d lists", MATRIX_MAX_AXES);
    for (size_t i = 0; i < node->n_items && i < MATRIX_MAX_AXES; i++) {
        const struct yaml_node *item = node->items[i];

        name_check(r, item);
        if (variables_get(plan->vars, item->key))
            reader_mistake_at(r, item->key_line, item->key_column,
                              "'%s' stands in 'vars', too: one of them is too much", item->key);
        axis_read(r, item, &plan->axes[plan->n_axes++]);
        if (!plan->axes[plan->n_axes - 1].values)
            strv_add(&plan->axes[plan->n_axes - 1].values, "");
    }
}

/* --- From outside ---------------------------------------------------------------------------- */

/* The place of "NAME=VALUE" of outside in the plan; NULL when it has no such variable. */
static char **var_place(struct plan *plan, const char *name)
{
    size_t len = strlen(name);

    for (char **v = plan->vars; v && *v; v++)
        if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
            return v;
    return NULL;
}

static struct axis *axis_place(struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_axes; i++)
        if (str_eq(plan->axes[i].name, name))
            return &plan->axes[i];
    return NULL;
}

static void not_there(struct reader *r, const struct yaml_node *root, const struct plan *plan,
                      const char *name)
{
    CLEANUP_STRV char **names = names_of(plan->vars);
    CLEANUP_FREE char *all = NULL;

    for (size_t i = 0; i < plan->n_axes; i++)
        strv_add(&names, plan->axes[i].name);
    all = strv_join(names, ", ");
    reader_mistake(r, root, "--set %.80s: this scenario has %s%.400s", name,
                   names ? "only the variables " : "no variables", names ? all : "");
}

static void override_one(struct reader *r, const struct yaml_node *root, struct plan *plan,
                         const char *text)
{
    CLEANUP_FREE char *name = xstrndup(text, strcspn(text, "="));
    const char *value = strchr(text, '=') ? strchr(text, '=') + 1 : NULL;
    char **var = var_place(plan, name);
    struct axis *axis = axis_place(plan, name);

    if (!value) {
        reader_mistake(r, root, "--set takes NAME=VALUE, not '%.80s'", text);
    } else if (!good_value(value)) {
        reader_mistake(r, root, "--set %.80s: " VALUE_RULE, name, VALUE_MAX);
    } else if (var) {
        replace_str(var, text);
    } else if (axis) {
        if (str_eq(name, "arch"))
            arch_check(r, root, value);
        strv_free(axis->values);
        axis->values = NULL;
        strv_add(&axis->values, value);
    } else {
        not_there(r, root, plan, name);
    }
}

/* --- The plan -------------------------------------------------------------------------------- */

static void variants_count(struct reader *r, const struct yaml_node *matrix, struct plan *plan)
{
    plan->n_variants = 1;
    for (size_t i = 0; i < plan->n_axes; i++) {
        plan->n_variants *= strv_len(plan->axes[i].values);
        if (plan->n_variants <= SCENARIO_MAX_VARIANTS)
            continue;
        reader_mistake(r, matrix, "a matrix has at most %d combinations", SCENARIO_MAX_VARIANTS);
        plan->n_variants = 1;
        return;
    }
}

void plan_read(struct reader *r, const struct yaml_node *root, char *const *overrides,
               struct plan *ret)
{
    const struct yaml_node *vars = yaml_get(root, "vars"), *matrix = yaml_get(root, "matrix");

    *ret = (struct plan){ 0 };
    if (vars)
        vars_read(r, vars, ret);
    if (matrix)
        matrix_read(r, matrix, ret);
    for (char *const *o = overrides; o && *o; o++)
        override_one(r, root, ret, *o);
    variants_count(r, matrix, ret);
}

void plan_done(struct plan *plan)
{
    strv_free(plan->vars);
    for (size_t i = 0; i < plan->n_axes; i++)
        strv_free(plan->axes[i].values);
    *plan = (struct plan){ 0 };
}

/* "name=value" of each list of the matrix. */
static char **choices(const struct plan *plan, size_t variant)
{
    char **chosen = NULL;
    size_t below = plan->n_variants;

    for (size_t i = 0; i < plan->n_axes && plan->n_variants > 0; i++) {
        size_t n = strv_len(plan->axes[i].values);

        below = below < n ? 1 : below / n;
        strv_addf(&chosen, "%s=%s", plan->axes[i].name, plan->axes[i].values[variant / below % n]);
    }
    return chosen;
}

char **plan_variables(const struct plan *plan, size_t variant)
{
    CLEANUP_STRV char **chosen = choices(plan, variant);
    char **variables = strv_copy(plan->vars);

    for (char **c = chosen; c && *c; c++)
        strv_add(&variables, *c);
    return variables;
}

char *plan_text(const struct plan *plan, size_t variant)
{
    CLEANUP_STRV char **chosen = choices(plan, variant);

    return strv_join(chosen, ",");
}
