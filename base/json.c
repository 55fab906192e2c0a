/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static int parse(const char *data, size_t len, size_t flags, json_t **ret, json_error_t *ret_e)
{
    /* jansson bounds the depth (2048). */
    json_t *value = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, ret_e);

    if (!value && json_error_code(ret_e) == json_error_out_of_memory)
        abort();
    if (!value)
        return -EBADMSG;
    *ret = value;
    return 0;
}

int json_parse(const char *data, size_t len, size_t max, json_t **ret, struct err **err)
{
    json_error_t e;

    if (len > max)
        return err_new(err, EMSGSIZE, "JSON text of %zu bytes: at most %zu are accepted", len, max);
    if (parse(data, len, 0, ret, &e) < 0)
        return err_new(err, EBADMSG, "JSON line %d column %d: %s", e.line, e.column, e.text);
    return 0;
}

/* Copies `data` with ".0" behind each integer of 19 digits or more: nothing else can overflow. */
static void widen(const char *data, size_t len, struct buf *out)
{
    bool in_string = false;

    for (size_t i = 0; i < len;) {
        size_t n = 1;

        if (in_string) {
            if (data[i] == '\\' && i + 1 < len)
                n = 2;
            else if (data[i] == '"')
                in_string = false;
        } else if (data[i] == '"') {
            in_string = true;
        } else if (data[i] >= '0' && data[i] <= '9') {
            while (i + n < len && strchr("0123456789.eE+-", data[i + n]) && data[i + n])
                n++;
            buf_add(out, data + i, n);
            if (n >= 19 && !memchr(data + i, '.', n) && !memchr(data + i, 'e', n) &&
                !memchr(data + i, 'E', n))
                buf_adds(out, ".0");
            i += n;
            continue;
        }
        buf_add(out, data + i, n);
        i += n;
    }
}

int json_parse_wide(const char *data, size_t len, size_t max, json_t **ret, struct err **err)
{
    json_error_t e;
    int r;

    if (len > max)
        return err_new(err, EMSGSIZE, "JSON text of %zu bytes: at most %zu are accepted", len, max);
    r = parse(data, len, JSON_ALLOW_NUL, ret, &e);
    if (r < 0 && json_error_code(&e) == json_error_numeric_overflow) {
        CLEANUP_BUF struct buf wide = BUF_INIT(len + len / 8 + 3);

        widen(data, len, &wide);
        r = parse(buf_str(&wide), wide.len, JSON_ALLOW_NUL, ret, &e);
    }
    if (r < 0)
        return err_new(err, EBADMSG, "JSON line %d column %d: %s", e.line, e.column, e.text);
    return 0;
}

static char *text_of(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | flags);

    /* A value that was built or parsed can always be written; what is left is memory. */
    if (!text)
        abort();
    return text;
}

char *json_text(const json_t *value)
{
    return text_of(value, 0);
}

char *json_text_sorted(const json_t *value)
{
    return text_of(value, JSON_SORT_KEYS);
}

/* The element of an array that the `len` bytes at `piece` count to, or NULL. */
static json_t *element(const json_t *array, const char *piece, size_t len)
{
    size_t index = 0;

    if (len == 0 || len > 9)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (piece[i] < '0' || piece[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(piece[i] - '0');
    }
    return json_array_get(array, index);
}

json_t *json_path(const json_t *value, const char *path)
{
    json_t *at = (json_t *)value;

    while (at && *path) {
        size_t n = strcspn(path, ".");

        at = json_is_array(at) ? element(at, path, n) : json_object_getn(at, path, n);
        path += n;
        if (*path == '.')
            path++;
    }
    return at;
}

const char *json_path_str(const json_t *value, const char *path)
{
    return json_string_value(json_path(value, path));
}

json_int_t json_path_int(const json_t *value, const char *path, json_int_t otherwise)
{
    const json_t *found = json_path(value, path);

    return json_is_integer(found) ? json_integer_value(found) : otherwise;
}
