/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/member.h"

#include <math.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/report.h"

#define TEXT_MAX (1024 * 1024)

int64_t member_int(const json_t *object, const char *name, bool *bad)
{
    const json_t *value = json_object_get(object, name);
    int64_t number = json_integer_value(value);

    if ((value && !json_is_integer(value)) || number < 0) {
        *bad = true;
        return 0;
    }
    return number;
}

double member_real(const json_t *object, const char *name, bool *bad)
{
    const json_t *value = json_object_get(object, name);
    double number = json_number_value(value);

    if ((value && !json_is_number(value)) || !isfinite(number) || number < 0) {
        *bad = true;
        return 0;
    }
    return number;
}

bool member_flag(const json_t *object, const char *name, bool *bad)
{
    const json_t *value = json_object_get(object, name);

    *bad |= value && !json_is_boolean(value);
    return json_is_true(value);
}

char *member_text(const json_t *object, const char *name, bool *bad)
{
    const json_t *value = json_object_get(object, name);

    *bad |= value && !json_is_string(value);
    return xstrdup(json_string_value(value));
}

char **member_strv(const json_t *object, const char *name, bool *bad)
{
    const json_t *list = json_object_get(object, name), *value;
    char **v = NULL;
    size_t i;

    *bad |= list && !json_is_array(list);
    json_array_foreach((json_t *)list, i, value)
    {
        if (json_is_string(value))
            strv_add(&v, json_string_value(value));
        else
            *bad = true;
    }
    return v;
}

size_t member_word(const json_t *object, const char *name, const char *const *words, size_t n,
                   bool *bad)
{
    const char *word = json_string_value(json_object_get(object, name));

    for (size_t i = 0; word && i < n; i++)
        if (str_eq(words[i], word))
            return i;
    *bad = true;
    return 0;
}

size_t member_count(const json_t *object, const char *name, size_t max, bool *bad)
{
    const json_t *list = json_object_get(object, name);

    if ((list && !json_is_array(list)) || json_array_size(list) > max) {
        *bad = true;
        return 0;
    }
    return json_array_size(list);
}

void member_set_int(json_t *object, const char *name, int64_t value)
{
    if (value > 0)
        json_object_set_new(object, name, json_integer(value));
}

void member_set_real(json_t *object, const char *name, double value)
{
    if (isfinite(value) && value > 0)
        json_object_set_new(object, name, json_real(value));
}

void member_set_flag(json_t *object, const char *name, bool value)
{
    if (value)
        json_object_set_new(object, name, json_true());
}

static json_t *clean_text(const char *text)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(TEXT_MAX);

    report_clean(&clean, text);
    return json_string(buf_str(&clean));
}

void member_set_text(json_t *object, const char *name, const char *value)
{
    if (value)
        json_object_set_new(object, name, clean_text(value));
}

void member_set_strv(json_t *object, const char *name, char *const *value)
{
    json_t *list;

    if (!value)
        return;
    list = json_array();
    for (; *value; value++)
        json_array_append_new(list, clean_text(*value));
    json_object_set_new(object, name, list);
}
