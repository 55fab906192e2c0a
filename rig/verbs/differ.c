/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/verbs/differ.h"

#include <string.h>

#include "base/clock_text.h"
#include "base/mem.h"
#include "base/strv.h"

#define VALUE_MAX 60 /* bytes shown of one */
#define TEXT_MAX (1024 * 1024)

static const char *const generated[] = { "managedFields", "resourceVersion",
                                         "uid",           "creationTimestamp",
                                         "generation",    "observedGeneration" };

struct differing {
    struct buf *out;
    size_t began; /* length of `out` before the first difference */
};

static void compare(struct differing *d, const char *path, const json_t *then, const json_t *now);

static bool is_generated(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(generated); i++)
        if (str_eq(generated[i], name))
            return true;
    return false;
}

static bool is_time(const json_t *value)
{
    int64_t ms;

    return json_is_string(value) && clock_parse_rfc3339(json_string_value(value), &ms, NULL) >= 0;
}

static void add_value(struct buf *out, const json_t *value)
{
    CLEANUP_FREE char *text = value ? json_text(value) : NULL;
    size_t len = text ? strlen(text) : 0, shown = len > VALUE_MAX ? VALUE_MAX : len;

    /* Not within a character. */
    while (shown > 0 && shown < len && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    if (!text)
        buf_adds(out, "absent");
    else
        buf_addf(out, "%.*s%s", (int)shown, text, shown < len ? "..." : "");
}

static void add_difference(struct differing *d, const char *path, const json_t *then,
                           const json_t *now)
{
    if (d->out->len > d->began)
        buf_adds(d->out, "; ");
    buf_addf(d->out, "%s%s", path, *path ? ": " : "");
    add_value(d->out, now);
    buf_adds(d->out, ", was ");
    add_value(d->out, then);
}

static void compare_member(struct differing *d, const char *path, const char *name,
                           const json_t *then, const json_t *now)
{
    CLEANUP_FREE char *inner = xasprintf("%s%s%s", path, *path ? "." : "", name);

    compare(d, inner, json_object_get(then, name), json_object_get(now, name));
}

static void compare_objects(struct differing *d, const char *path, const json_t *then,
                            const json_t *now)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)then, name, value)
    {
        if (*path == '\0' || !is_generated(name))
            compare_member(d, path, name, then, now);
    }
    json_object_foreach((json_t *)now, name, value)
    {
        if (!json_object_get(then, name) && (*path == '\0' || !is_generated(name)))
            compare_member(d, path, name, then, now);
    }
}

/* What its elements are called by: "name" or "type" when each has one of its own, else NULL. */
static const char *naming(const json_t *list)
{
    static const char *const names[] = { "name", "type" };
    const json_t *element;
    size_t i;

    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        CLEANUP_STRV char **seen = NULL;
        bool good = true;

        json_array_foreach((json_t *)list, i, element)
        {
            const char *name = json_string_value(json_object_get(element, names[n]));

            good = good && name && !strv_has(seen, name);
            if (good)
                strv_add(&seen, name);
        }
        if (good)
            return names[n];
    }
    return NULL;
}

static const json_t *named(const json_t *list, const char *by, const char *name)
{
    const json_t *element;
    size_t i;

    json_array_foreach((json_t *)list, i, element)
    {
        if (str_eq(json_string_value(json_object_get(element, by)), name))
            return element;
    }
    return NULL;
}

static void compare_named(struct differing *d, const char *path, const char *by, const json_t *then,
                          const json_t *now)
{
    const json_t *element;
    size_t i;

    json_array_foreach((json_t *)then, i, element)
    {
        const char *name = json_string_value(json_object_get(element, by));
        CLEANUP_FREE char *inner = xasprintf("%s[%s]", path, name);

        compare(d, inner, element, named(now, by, name));
    }
    json_array_foreach((json_t *)now, i, element)
    {
        const char *name = json_string_value(json_object_get(element, by));
        CLEANUP_FREE char *inner = xasprintf("%s[%s]", path, name);

        if (!named(then, by, name))
            compare(d, inner, NULL, element);
    }
}

static void compare_lists(struct differing *d, const char *path, const json_t *then,
                          const json_t *now)
{
    const char *by = naming(then);
    size_t n = json_array_size(then) > json_array_size(now) ? json_array_size(then)
                                                            : json_array_size(now);

    if (by && str_eq(by, naming(now))) {
        compare_named(d, path, by, then, now);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *inner = xasprintf("%s[%zu]", path, i);

        compare(d, inner, json_array_get(then, i), json_array_get(now, i));
    }
}

/* The object that a text is, or NULL. New reference. */
static json_t *object_in(const json_t *value)
{
    const char *text = json_string_value(value);
    json_t *object = NULL;

    if (text && *text == '{')
        json_parse(text, strlen(text), TEXT_MAX, &object, NULL);
    return object;
}

/* Messages are kept as texts. True when both are objects that differ. */
static bool compared_texts(struct differing *d, const char *path, const json_t *then,
                           const json_t *now)
{
    CLEANUP_JSON json_t *then_object = object_in(then), *now_object = object_in(now);
    size_t len = d->out->len;

    if (!then_object || !now_object)
        return false;
    compare_objects(d, path, then_object, now_object);
    return d->out->len > len;
}

static void compare(struct differing *d, const char *path, const json_t *then, const json_t *now)
{
    if ((!then && !now) || (then && now && json_equal(then, now)) ||
        (is_time(then) && is_time(now)))
        return;
    if (json_is_object(then) && json_is_object(now))
        compare_objects(d, path, then, now);
    else if (json_is_array(then) && json_is_array(now))
        compare_lists(d, path, then, now);
    else if (!compared_texts(d, path, then, now))
        add_difference(d, path, then, now);
}

bool differ(struct buf *out, const json_t *then, const json_t *now)
{
    struct differing d = { .out = out, .began = out->len };

    compare(&d, "", then, now);
    return out->len > d.began;
}
