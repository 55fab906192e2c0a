/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_wire.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

static const char *const asks[] = { "status", "wait", "down", "do", "expect", "heal", "redeploy" };

/* --- Members --------------------------------------------------------------------------------- */

static int need_text(const json_t *object, const char *member, char **ret, struct err **err)
{
    const char *text = json_path_str(object, member);

    if (!text || !*text)
        return err_new(err, EINVAL, "'%s' must be a text", member);
    *ret = xstrdup(text);
    return 0;
}

static int need_folder(const json_t *object, const char *member, char **ret, struct err **err)
{
    int r = need_text(object, member, ret, err);

    if (r < 0)
        return r;
    return **ret == '/' ? 0 : err_new(err, EINVAL, "'%s' must be an absolute path", member);
}

static int read_ms(const json_t *object, const char *member, int64_t *ret, struct err **err)
{
    json_t *value = json_object_get(object, member);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) <= 0 ||
        json_integer_value(value) > REQUEST_MAX_MS)
        return err_new(err, EINVAL, "'%s' must be a number of milliseconds, at most a day", member);
    *ret = json_integer_value(value);
    return 0;
}

static int read_devices(const json_t *object, char ***ret, struct err **err)
{
    json_t *list = json_object_get(object, "devices"), *item;
    size_t i;

    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > REQUEST_DEVICES)
        return err_new(err, EINVAL, "'devices' must be a list of at most %d", REQUEST_DEVICES);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return err_new(err, EINVAL, "'devices' must be a list of names");
        strv_add(ret, json_string_value(item));
    }
    return 0;
}

/* --- Requests -------------------------------------------------------------------------------- */

static int read_sentence(const json_t *object, struct request *r, struct err **err)
{
    int n;

    if ((n = need_text(object, "sentence", &r->sentence, err)) < 0 ||
        (n = need_folder(object, "folder", &r->folder, err)) < 0 || r->ask == ASK_DO)
        return n;
    if ((n = read_ms(object, "within_ms", &r->within_ms, err)) < 0 ||
        (n = read_ms(object, "holds_ms", &r->holds_ms, err)) < 0)
        return n;
    if (!r->within_ms == !r->holds_ms)
        return err_new(err, EINVAL, "'expect' needs exactly one of 'within_ms' and 'holds_ms'");
    return 0;
}

static int read_redeploy(const json_t *object, struct request *r, struct err **err)
{
    const char *what = json_path_str(object, "what");
    int n;

    if (!str_eq(what, "agent") && !str_eq(what, "operator"))
        return err_new(err, EINVAL, "'what' must be agent or operator");
    r->operator= str_eq(what, "operator");
    n = need_folder(object, "programs", &r->programs, err);
    return n < 0 ? n : read_devices(object, &r->devices, err);
}

static int read_ask(const json_t *object, enum ask *ret, struct err **err)
{
    const char *text = json_path_str(object, "do");

    for (size_t i = 0; text && i < ARRAY_LEN(asks); i++) {
        if (str_eq(asks[i], text)) {
            *ret = (enum ask)i;
            return 0;
        }
    }
    return err_new(err, EINVAL, "'%s' is nothing that a keeper does", text ? text : "");
}

static int read_request(const json_t *object, struct request *r, struct err **err)
{
    json_int_t version = json_path_int(object, "v", 0);

    if (!json_is_object(object))
        return err_new(err, EINVAL, "not an object");
    if (str_eq(json_path_str(object, "do"), "down")) {
        r->ask = ASK_DOWN;
        return 0;
    }
    if (version != FLEET_PROTOCOL)
        return err_new(err, EPROTO, "version %lld of the protocol; this keeper speaks version %d",
                       (long long)version, FLEET_PROTOCOL);
    if (read_ask(object, &r->ask, err) < 0)
        return -EINVAL;
    r->owner = json_is_true(json_object_get(object, "owner"));
    if (r->ask == ASK_DO || r->ask == ASK_EXPECT)
        return read_sentence(object, r, err);
    return r->ask == ASK_REDEPLOY ? read_redeploy(object, r, err) : 0;
}

int request_parse(const char *text, size_t len, struct request *ret, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    struct request request = { 0 };
    int r = json_parse(text, len, REQUEST_MAX, &object, err);

    if (r >= 0)
        r = read_request(object, &request, err);
    if (r < 0) {
        request_done(&request);
        return r == -EPROTO ? r : err_wrap(err, "request");
    }
    *ret = request;
    return 0;
}

static json_t *strv_json(char *const *v)
{
    json_t *list = json_array();

    for (; v && *v; v++)
        json_array_append_new(list, json_string(*v));
    return list;
}

static void add_text(json_t *object, const char *member, const char *text)
{
    if (text)
        json_object_set_new(object, member, json_string(text));
}

static void add_ms(json_t *object, const char *member, int64_t ms)
{
    if (ms)
        json_object_set_new(object, member, json_integer(ms));
}

static char *line_of(const json_t *object)
{
    CLEANUP_FREE char *text = json_text(object);

    return xasprintf("%s\n", text);
}

char *request_text(const struct request *r)
{
    CLEANUP_JSON json_t *object = json_pack("{s:i, s:s}", "v", FLEET_PROTOCOL, "do", asks[r->ask]);

    if (r->owner)
        json_object_set_new(object, "owner", json_true());
    add_text(object, "sentence", r->sentence);
    add_text(object, "folder", r->folder);
    add_ms(object, "within_ms", r->within_ms);
    add_ms(object, "holds_ms", r->holds_ms);
    if (r->ask == ASK_REDEPLOY)
        add_text(object, "what", r->operator? "operator" : "agent");
    add_text(object, "programs", r->programs);
    if (r->devices)
        json_object_set_new(object, "devices", strv_json(r->devices));
    return line_of(object);
}

void request_done(struct request *r)
{
    free(r->sentence);
    free(r->folder);
    free(r->programs);
    strv_free(r->devices);
    *r = (struct request){ 0 };
}

char *request_name(const struct request *r)
{
    if (r->ask == ASK_REDEPLOY)
        return xasprintf("redeploy %s", r->operator? "operator" : "agent");
    return r->sentence ? xasprintf("%s %s", asks[r->ask], r->sentence) : xstrdup(asks[r->ask]);
}

/* --- Answers --------------------------------------------------------------------------------- */

static int read_answer(const json_t *object, struct answer *a, struct err **err)
{
    const json_t *line = json_object_get(object, "line"),
                 *status = json_object_get(object, "status"),
                 *code = json_object_get(object, "exit");
    const char *text = json_path_str(object, "text");

    if (json_is_string(line) || json_is_string(status)) {
        a->kind = json_is_string(line) ? ANSWER_LINE : ANSWER_STATUS;
        a->text = xstrdup(json_string_value(json_is_string(line) ? line : status));
        return 0;
    }
    if (!json_is_integer(code) || json_integer_value(code) < 0 || json_integer_value(code) > 255)
        return err_new(err, EINVAL, "neither a line, nor a status, nor an exit code");
    a->kind = ANSWER_EXIT;
    a->exit = (int)json_integer_value(code);
    a->text = xstrdup(text ? text : "");
    a->data = json_incref(json_object_get(object, "data"));
    return 0;
}

int answer_parse(const char *text, size_t len, struct answer *ret, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    int r = json_parse(text, len, ANSWER_MAX, &object, err);

    if (r >= 0)
        r = read_answer(object, ret, err);
    return r < 0 ? err_wrap(err, "answer of the keeper") : 0;
}

char *answer_text(const struct answer *a)
{
    static const char *const members[] = { "line", "status", "text" };
    CLEANUP_JSON json_t *object = json_object();

    if (a->kind == ANSWER_EXIT)
        json_object_set_new(object, "exit", json_integer(a->exit));
    /* What a device said may be no UTF-8: the caller has cleaned it, or it is left out. */
    if (a->text && json_object_set_new(object, members[a->kind], json_string(a->text)) < 0)
        json_object_set_new(object, members[a->kind], json_string("(not UTF-8)"));
    if (a->data)
        json_object_set(object, "data", a->data);
    return line_of(object);
}

void answer_done(struct answer *a)
{
    free(a->text);
    json_decref(a->data);
    *a = (struct answer){ 0 };
}
