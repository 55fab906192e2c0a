/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Label selectors. Decoding brings a selector into one canonical form (requirements sorted, values
 * sorted and unique, matchLabels as In), so that two that are written differently but mean the same
 * compare as equal and a rewritten manifest moves no workload.
 */

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/fields.h"
#include "fleet/wire/labels.h"

static const struct {
    const char *name;
    bool takes_values;
} operators[] = {
    [SELECTOR_IN] = { "In", true },
    [SELECTOR_NOT_IN] = { "NotIn", true },
    [SELECTOR_EXISTS] = { "Exists", false },
    [SELECTOR_NOT_EXISTS] = { "DoesNotExist", false },
};

static void add(struct selector *s, const char *key, enum selector_op op, char **values)
{
    s->items = xreallocarray(s->items, s->n + 1, sizeof(*s->items));
    s->items[s->n++] = (struct requirement){ xstrdup(key), op, values };
}

static int decode_match_labels(const json_t *object, struct selector *s, struct err **err)
{
    __attribute__((cleanup(labels_done))) struct labels l = { 0 };

    if (labels_decode(object, &l, err) < 0)
        return -EINVAL;
    for (size_t i = 0; i < l.n; i++) {
        char **values = NULL;

        strv_add(&values, l.items[i].value);
        add(s, l.items[i].key, SELECTOR_IN, values);
    }
    return 0;
}

static int decode_operator(const char *name, enum selector_op *ret, struct err **err)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (str_eq(name, operators[i].name)) {
            *ret = (enum selector_op)i;
            return 0;
        }
    }
    return err_new(err, EINVAL,
                   "operator %s is unknown: known are In, NotIn, Exists and DoesNotExist",
                   QUOTE(name));
}

static int decode_values(const json_t *array, const char *key, char ***ret, struct err **err)
{
    CLEANUP_STRV char **values = NULL;
    const char *text = NULL;
    json_t *value = NULL;
    size_t i;

    if (!array || json_is_null(array))
        return 0;
    if (!json_is_array(array)) {
        type_error(array, "a list", err);
        return err_wrap(err, "values");
    }
    json_array_foreach(array, i, value)
    {
        if (string_decode(value, &text, err) < 0)
            return err_wrap(err, "values[%zu]", i);
        if (label_check(key, text, err) < 0)
            return -EINVAL;
        if (!strv_has(values, text))
            strv_add(&values, text);
    }
    if (values)
        strv_sort(values);
    *ret = steal_ptr(values);
    return 0;
}

static int decode_expression(const json_t *object, struct selector *s, struct err **err)
{
    CLEANUP_STRV char **values = NULL;
    const char *key = NULL, *name = NULL;
    enum selector_op op = SELECTOR_IN;

    if (!json_is_object(object))
        return type_error(object, "an object", err);
    if (string_member(object, "key", &key, err) < 0 ||
        string_member(object, "operator", &name, err) < 0 || decode_operator(name, &op, err) < 0 ||
        label_check(key, "", err) < 0 ||
        decode_values(json_object_get(object, "values"), key, &values, err) < 0)
        return -EINVAL;
    if (operators[op].takes_values != (strv_len(values) > 0))
        return err_new(err, EINVAL, "operator %s %s", name,
                       values ? "takes no values" : "needs at least one of values");
    add(s, key, op, steal_ptr(values));
    return 0;
}

static int decode_expressions(const json_t *array, struct selector *s, struct err **err)
{
    json_t *expression = NULL;
    size_t i;

    if (!json_is_array(array)) {
        type_error(array, "a list", err);
        return err_wrap(err, "matchExpressions");
    }
    json_array_foreach(array, i, expression)
    {
        if (decode_expression(expression, s, err) < 0)
            return err_wrap(err, "matchExpressions[%zu]", i);
    }
    return 0;
}

static int values_compare(char *const *a, char *const *b)
{
    static char *const none[] = { NULL };

    for (a = a ? a : none, b = b ? b : none; *a && *b; a++, b++) {
        int order = strcmp(*a, *b);

        if (order != 0)
            return order;
    }
    return (*a != NULL) - (*b != NULL);
}

static int requirement_compare(const void *pa, const void *pb)
{
    const struct requirement *a = pa, *b = pb;
    int order = strcmp(a->key, b->key);

    if (order == 0)
        order = (int)a->op - (int)b->op;
    return order != 0 ? order : values_compare(a->values, b->values);
}

int selector_decode(const json_t *label_selector, struct selector *ret, struct err **err)
{
    __attribute__((cleanup(selector_done))) struct selector s = { 0 };
    const json_t *labels = json_object_get(label_selector, "matchLabels");
    const json_t *expressions = json_object_get(label_selector, "matchExpressions");

    s.absent = !label_selector || json_is_null(label_selector);
    if (!s.absent && !json_is_object(label_selector))
        return type_error(label_selector, "an object", err);
    if (labels && !json_is_null(labels) && decode_match_labels(labels, &s, err) < 0)
        return err_wrap(err, "matchLabels");
    if (expressions && !json_is_null(expressions) && decode_expressions(expressions, &s, err) < 0)
        return -EINVAL;
    if (s.n > 0)
        qsort(s.items, s.n, sizeof(*s.items), requirement_compare);
    *ret = s;
    s = (struct selector){ 0 };
    return 0;
}

static bool requirement_holds(const struct requirement *r, const char *value)
{
    switch (r->op) {
    case SELECTOR_IN:
        return value && strv_has(r->values, value);
    case SELECTOR_NOT_IN:
        return !value || !strv_has(r->values, value);
    case SELECTOR_EXISTS:
        return value;
    case SELECTOR_NOT_EXISTS:
        return !value;
    }
    return false;
}

bool selector_matches(const struct selector *s, const struct labels *l)
{
    if (s->absent)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (!requirement_holds(&s->items[i], labels_get(l, s->items[i].key)))
            return false;
    return true;
}

bool selector_equal(const struct selector *a, const struct selector *b)
{
    if (a->absent != b->absent || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (requirement_compare(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}

void selector_done(struct selector *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].key);
        strv_free(s->items[i].values);
    }
    free(s->items);
    *s = (struct selector){ 0 };
}
