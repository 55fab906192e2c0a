/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/fields.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/names.h"

#define TIME_MAX_MS INT64_C(253402300799999) /* the last that RFC 3339 can write with four digits */

/*
 * Error texts
 */
static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "a boolean",
        [JSON_FALSE] = "a boolean",    [JSON_NULL] = "null",
    };

    return value ? names[json_typeof(value)] : "absent";
}

int type_error(const json_t *value, const char *want, struct err **err)
{
    /* The usual cause: YAML reads a bare 1 or true as what it looks like. */
    bool bare = str_eq(want, "a string") && (json_is_number(value) || json_is_boolean(value));

    return err_new(err, EINVAL, "must be %s, is %s%s", want, type_name(value),
                   bare ? ": put it in quotes" : "");
}

const char *quote_text(struct quote *q, const char *s)
{
    const size_t room = sizeof(q->text) - sizeof("\\x00...\"");
    char *to = q->text;

    *to++ = '"';
    for (; *s && (size_t)(to - q->text) < room; s++) {
        unsigned char c = (unsigned char)*s;

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            *to++ = (char)c;
        else
            to += snprintf(to, 5, "\\x%02x", c);
    }
    snprintf(to, sizeof("...\""), "%s\"", *s ? "..." : "");
    return q->text;
}

/*
 * Strings
 */
int string_decode(const json_t *value, const char **ret, struct err **err)
{
    if (!json_is_string(value))
        return type_error(value, "a string", err);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return err_new(err, EINVAL, "contains a NUL character");
    *ret = json_string_value(value);
    return 0;
}

int string_member(const json_t *object, const char *key, const char **ret, struct err **err)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return err_new(err, EINVAL, "\"%s\" is missing", key);
    if (string_decode(value, ret, err) < 0)
        return err_wrap(err, "%s", key);
    return 0;
}

/* Bytes of the UTF-8 sequence at `text`; 0 when there is none. Stops at the terminator. */
static size_t utf8_len(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xf4)
        n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

json_t *string_encode(const char *s, size_t max)
{
    CLEANUP_BUF struct buf text = BUF_INIT(SIZE_MAX);

    for (size_t chars = 0; *s && chars < max; chars++) {
        size_t n = utf8_len(s);

        if (n)
            buf_add(&text, s, n);
        else
            buf_adds(&text, "\xef\xbf\xbd");
        s += n ? n : 1;
    }
    return json_string(buf_str(&text));
}

static int decode_string(const json_t *value, void *dst, struct err **err)
{
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    replace_str(dst, s);
    return 0;
}

static int decode_line(const json_t *value, void *dst, struct err **err)
{
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    if (strlen(s) > FIELD_LINE_MAX)
        return err_new(err, EINVAL, "is %zu bytes long, at most %d are accepted", strlen(s),
                       FIELD_LINE_MAX);
    for (const char *c = s; *c; c++)
        if (iscntrl((unsigned char)*c))
            return err_new(err, EINVAL, "%s contains a control character", QUOTE(s));
    replace_str(dst, s);
    return 0;
}

static int decode_name(const json_t *value, void *dst,
                       int (*check)(const char *name, struct err **err), struct err **err)
{
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0 || check(s, err) < 0)
        return -EINVAL;
    replace_str(dst, s);
    return 0;
}

static int decode_device_id(const json_t *value, void *dst, struct err **err)
{
    return decode_name(value, dst, device_id_check, err);
}

static int decode_deployment(const json_t *value, void *dst, struct err **err)
{
    return decode_name(value, dst, deployment_name_check, err);
}

static json_t *encode_string(const void *src)
{
    const char *s = *(char *const *)src;

    return s ? string_encode(s, SIZE_MAX) : NULL;
}

static void done_string(void *p)
{
    replace_str(p, NULL);
}

const struct field_type field_device_id = { decode_device_id, encode_string, done_string };
const struct field_type field_deployment = { decode_deployment, encode_string, done_string };
const struct field_type field_line = { decode_line, encode_string, done_string };
const struct field_type field_string = { decode_string, encode_string, done_string };

/*
 * Numbers and times
 */
static int decode_count(const json_t *value, void *dst, struct err **err)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value))
        return type_error(value, "an integer", err);
    if (n < 0 || n > INT_MAX)
        return err_new(err, EINVAL, "%lld is not between 0 and %d", (long long)n, INT_MAX);
    *(int *)dst = (int)n;
    return 0;
}

static json_t *encode_count(const void *src)
{
    int n = *(const int *)src;

    return n > 0 ? json_integer(n) : NULL;
}

const struct field_type field_count = { decode_count, encode_count, NULL };

static int decode_bool(const json_t *value, void *dst, struct err **err)
{
    if (!json_is_boolean(value))
        return type_error(value, "a boolean", err);
    *(bool *)dst = json_is_true(value);
    return 0;
}

static json_t *encode_bool(const void *src)
{
    return json_boolean(*(const bool *)src);
}

const struct field_type field_bool = { decode_bool, encode_bool, NULL };

static int decode_time(const json_t *value, void *dst, struct err **err)
{
    const char *s = NULL;
    int64_t ms = 0;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    if (clock_parse_rfc3339(s, &ms, NULL) < 0 || ms < 0 || ms > TIME_MAX_MS)
        return err_new(err, EINVAL,
                       "%s is not a time: write RFC 3339 in UTC, such as 2026-04-21T18:15:42Z",
                       QUOTE(s));
    *(int64_t *)dst = ms;
    return 0;
}

static json_t *encode_time(const void *src)
{
    char text[CLOCK_RFC3339_MAX];

    return json_string(clock_rfc3339(*(const int64_t *)src, text));
}

const struct field_type field_time = { decode_time, encode_time, NULL };

/*
 * Tables
 */
int fields_decode(const json_t *object, const struct field *fields, void *dst, struct err **err)
{
    if (!json_is_object(object))
        return type_error(object, "an object", err);
    for (const struct field *f = fields; f->key; f++) {
        const json_t *value = json_object_get(object, f->key);

        if (f->optional && (!value || json_is_null(value)))
            continue;
        if (!value)
            return err_new(err, EINVAL, "\"%s\" is missing", f->key);
        if (f->type->decode(value, (char *)dst + f->offset, err) < 0)
            return err_wrap(err, "%s", f->key);
    }
    return 0;
}

json_t *fields_encode(const struct field *fields, const void *src)
{
    json_t *object = json_object();

    for (const struct field *f = fields; f->key; f++) {
        json_t *value = f->type->encode((const char *)src + f->offset);

        if (value)
            json_object_set_new(object, f->key, value);
    }
    return object;
}

void fields_done(const struct field *fields, void *p)
{
    for (const struct field *f = fields; f->key; f++)
        if (f->type->done)
            f->type->done((char *)p + f->offset);
}

int message_decode(const char *what, const char *data, size_t len, size_t max,
                   const struct field *fields, void *dst, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;

    if (json_parse(data, len, max, &object, err) < 0 || fields_decode(object, fields, dst, err) < 0)
        return err_wrap(err, "%s", what);
    return 0;
}

char *message_encode(const struct field *fields, const void *src)
{
    CLEANUP_JSON json_t *object = fields_encode(fields, src);

    return json_text(object);
}
