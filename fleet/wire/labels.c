/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/labels.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/fields.h"

#define PREFIX_MAX 253
#define NAME_MAX_BYTES 63

/*
 * Sets of labels
 */

/* Where `key` is, or where it belongs. */
static size_t place_of(const struct labels *l, const char *key)
{
    size_t from = 0, to = l->n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (strcmp(l->items[mid].key, key) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

void labels_set(struct labels *l, const char *key, const char *value)
{
    size_t i = place_of(l, key);

    if (i == l->n || strcmp(l->items[i].key, key) != 0) {
        l->items = xreallocarray(l->items, l->n + 1, sizeof(*l->items));
        memmove(l->items + i + 1, l->items + i, (l->n - i) * sizeof(*l->items));
        l->items[i] = (struct label){ .key = xstrdup(key) };
        l->n++;
    }
    replace_str(&l->items[i].value, value);
}

const char *labels_get(const struct labels *l, const char *key)
{
    size_t i = place_of(l, key);

    return i < l->n && strcmp(l->items[i].key, key) == 0 ? l->items[i].value : NULL;
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return true;
}

void labels_copy(struct labels *dst, const struct labels *src)
{
    struct labels copy = { .items = xcalloc(src->n, sizeof(*src->items)), .n = src->n };

    for (size_t i = 0; i < src->n; i++)
        copy.items[i] = (struct label){ xstrdup(src->items[i].key), xstrdup(src->items[i].value) };
    labels_done(dst);
    *dst = copy;
}

void labels_done(struct labels *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].key);
        free(l->items[i].value);
    }
    free(l->items);
    *l = (struct labels){ 0 };
}

/*
 * Syntax
 */

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9], at most 63 bytes. ASCII whatever the locale. */
static bool word_ok(const char *s, size_t n)
{
    if (n == 0 || n > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool inner = i > 0 && i + 1 < n && strchr("-_.", c);

        if (!(c < 0x80 && isalnum(c)) && !inner)
            return false;
    }
    return true;
}

/* An RFC 1123 subdomain. */
static bool prefix_ok(const char *s, size_t n)
{
    if (n == 0 || n > PREFIX_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i + 1 == n || s[i - 1] == '.' || s[i + 1] == '.';

        if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') &&
            !(s[i] == '-' && !edge) && !(s[i] == '.' && !edge))
            return false;
    }
    return true;
}

static int key_check(const char *key, struct err **err)
{
    const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;

    if ((slash && !prefix_ok(key, (size_t)(slash - key))) || !word_ok(name, strlen(name)))
        return err_new(err, EINVAL,
                       "label key %s is not valid: write NAME or DOMAIN/NAME, NAME of at most 63 "
                       "letters, digits, \"-\", \"_\", \".\" with a letter or digit at both ends",
                       QUOTE(key));
    return 0;
}

int label_check(const char *key, const char *value, struct err **err)
{
    if (key_check(key, err) < 0)
        return -EINVAL;
    if (*value && !word_ok(value, strlen(value)))
        return err_new(err, EINVAL,
                       "label %s: value %s is not valid: write at most 63 letters, digits, \"-\", "
                       "\"_\", \".\" with a letter or digit at both ends, or nothing",
                       key, QUOTE(value));
    return 0;
}

int labels_decode(const json_t *object, struct labels *ret, struct err **err)
{
    __attribute__((cleanup(labels_done))) struct labels l = { 0 };
    const char *key = NULL, *text = NULL;
    json_t *value = NULL;

    if (!json_is_object(object))
        return type_error(object, "an object", err);
    json_object_foreach((json_t *)object, key, value)
    {
        if (string_decode(value, &text, err) < 0)
            return err_wrap(err, "label %s", QUOTE(key));
        if (label_check(key, text, err) < 0)
            return -EINVAL;
        labels_set(&l, key, text);
    }
    *ret = l;
    l = (struct labels){ 0 };
    return 0;
}

json_t *labels_encode(const struct labels *l)
{
    json_t *object = json_object();

    for (size_t i = 0; i < l->n; i++)
        json_object_set_new(object, l->items[i].key, json_string(l->items[i].value));
    return object;
}
