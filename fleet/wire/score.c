/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/score.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/fields.h"
#include "fleet/wire/image.h"
#include "fleet/wire/names.h"

#define SCORE_TYPE "PodmanV0"
#define SERVICES_MAX 64
#define ENTRIES_MAX 256

/*
 * Lists: a pointer and a count in the struct that owns them.
 */
struct list {
    const char *key;
    size_t items, count; /* offsets */
    size_t size;         /* of an entry */
    size_t max;
    int (*decode)(const json_t *value, void *entry, struct err **err);
    void (*done)(void *entry); /* NULL when entries own nothing */
};

#define LIST(owner, member, key, max, decode, done)                                                \
    { key,                                                                                         \
      offsetof(struct owner, member),                                                              \
      offsetof(struct owner, n_##member),                                                          \
      sizeof(*((struct owner *)NULL)->member),                                                     \
      max,                                                                                         \
      decode,                                                                                      \
      done }

/* Absent and null are the empty list. On failure the entries so far stay for list_done(). */
static int list_decode(const json_t *object, const struct list *list, void *owner, struct err **err)
{
    const json_t *array = json_object_get(object, list->key);
    size_t n = json_array_size(array), *count = (size_t *)((char *)owner + list->count);
    char *entries = NULL;

    if (!array || json_is_null(array))
        return 0;
    if (!json_is_array(array)) {
        type_error(array, "a list", err);
        return err_wrap(err, "%s", list->key);
    }
    if (n > list->max)
        return err_new(err, EINVAL, "%s: %zu entries, at most %zu are accepted", list->key, n,
                       list->max);
    entries = xcalloc(n, list->size);
    memcpy((char *)owner + list->items, &entries, sizeof(entries));
    for (*count = 0; *count < n;) {
        size_t i = (*count)++;

        if (list->decode(json_array_get(array, i), entries + i * list->size, err) < 0)
            return err_wrap(err, "%s[%zu]", list->key, i);
    }
    return 0;
}

static void list_done(const struct list *list, void *owner)
{
    size_t *count = (size_t *)((char *)owner + list->count);
    char *entries = NULL, *const none = NULL;

    memcpy(&entries, (char *)owner + list->items, sizeof(entries));
    for (size_t i = 0; list->done && i < *count; i++)
        list->done(entries + i * list->size);
    free(entries);
    memcpy((char *)owner + list->items, &none, sizeof(none));
    *count = 0;
}

/*
 * Ports
 */
static int decode_port_number(const char *digits, size_t n, const char *which, uint16_t *ret,
                              struct err **err)
{
    CLEANUP_FREE char *text = xstrndup(digits, n);
    unsigned long number = strspn(text, "0123456789") == n && n <= 5 ? strtoul(text, NULL, 10) : 0;

    if (number < 1 || number > UINT16_MAX)
        return err_new(err, EINVAL, "%s port %s is not a number from 1 to 65535", which,
                       QUOTE(text));
    *ret = (uint16_t)number;
    return 0;
}

static int decode_port(const json_t *value, void *entry, struct err **err)
{
    struct port_mapping *port = entry;
    const char *text = NULL, *colon, *slash, *protocol, *end;

    if (string_decode(value, &text, err) < 0)
        return -EINVAL;
    colon = strchr(text, ':');
    slash = strchr(text, '/');
    protocol = slash ? slash + 1 : "tcp";
    end = slash ? slash : text + strlen(text);
    if (!colon || colon > end || memchr(colon + 1, ':', (size_t)(end - colon - 1)))
        return err_new(err, EINVAL,
                       "%s is not a port mapping: write HOST:CONTAINER or HOST:CONTAINER/udp, for "
                       "example 8080:80",
                       QUOTE(text));
    if (!str_eq(protocol, "tcp") && !str_eq(protocol, "udp"))
        return err_new(err, EINVAL, "%s: protocol %s is not supported: tcp and udp are",
                       QUOTE(text), QUOTE(protocol));
    if (decode_port_number(text, (size_t)(colon - text), "host", &port->host, err) < 0 ||
        decode_port_number(colon + 1, (size_t)(end - colon - 1), "container", &port->container,
                           err) < 0)
        return err_wrap(err, "%s", QUOTE(text));
    memcpy(port->protocol, protocol, sizeof("tcp"));
    return 0;
}

/*
 * Environment
 */
static int decode_env_name(const json_t *value, void *dst, struct err **err)
{
    const char *name = NULL;

    if (string_decode(value, &name, err) < 0)
        return -EINVAL;
    if (!*name)
        return err_new(err, EINVAL, "is empty");
    if (strchr(name, '='))
        return err_new(err, EINVAL, "%s contains \"=\": the value belongs into \"value\"",
                       QUOTE(name));
    replace_str(dst, name);
    return 0;
}

static void done_string(void *p)
{
    replace_str(p, NULL);
}

static const struct field_type field_env_name = { decode_env_name, NULL, done_string };

static const struct field env_fields[] = {
    FIELD(env_var, name, "name", field_env_name),
    FIELD(env_var, value, "value", field_string),
    { 0 },
};

static int decode_env(const json_t *value, void *entry, struct err **err)
{
    return fields_decode(value, env_fields, entry, err);
}

static void done_env(void *entry)
{
    fields_done(env_fields, entry);
}

/*
 * Volumes
 */

/* As podman will show it: no doubled or trailing slashes, no "." steps. Otherwise the mount would
 * look different from what was asked for, and the container would be recreated for ever. */
static int decode_path(const json_t *value, void *dst, struct err **err)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(4096);
    const char *path = NULL;

    if (string_decode(value, &path, err) < 0)
        return -EINVAL;
    if (path[0] != '/')
        return err_new(err, EINVAL, "%s is not an absolute path: it must start with \"/\"",
                       QUOTE(path));
    for (const char *step = path + 1; *step || step[-1] == '/';) {
        size_t n = strcspn(step, "/");

        if (n == 2 && strncmp(step, "..", n) == 0)
            return err_new(err, EINVAL, "%s must not contain \"..\"", QUOTE(path));
        if (n > 0 && !(n == 1 && *step == '.')) {
            buf_addc(&clean, '/');
            buf_add(&clean, step, n);
        }
        step += n;
        if (!*step)
            break;
        step++;
    }
    if (clean.overflow)
        return err_new(err, EINVAL, "%s is too long", QUOTE(path));
    replace_str(dst, clean.len ? buf_str(&clean) : "/");
    return 0;
}

static int decode_container_path(const json_t *value, void *dst, struct err **err)
{
    char **path = dst;

    if (decode_path(value, dst, err) < 0)
        return -EINVAL;
    if (str_eq(*path, "/"))
        return err_new(err, EINVAL, "\"/\" would hide the whole image: mount to a folder below it");
    return 0;
}

static const struct field_type field_path = { decode_path, NULL, done_string };
static const struct field_type field_container_path = { decode_container_path, NULL, done_string };

static const struct field volume_fields[] = {
    FIELD(volume, host_path, "host_path", field_path),
    FIELD(volume, container_path, "container_path", field_container_path),
    FIELD_OPTIONAL(volume, read_only, "read_only", field_bool),
    { 0 },
};

static int decode_volume(const json_t *value, void *entry, struct err **err)
{
    return fields_decode(value, volume_fields, entry, err);
}

static void done_volume(void *entry)
{
    fields_done(volume_fields, entry);
}

/*
 * Services
 */
static const char *const policies[] = {
    [RESTART_NO] = "no",
    [RESTART_ON_FAILURE] = "on-failure",
    [RESTART_ALWAYS] = "always",
    [RESTART_UNLESS_STOPPED] = "unless-stopped",
};

const char *restart_policy_text(enum restart_policy policy)
{
    return policies[policy];
}

static int decode_policy(const json_t *value, void *dst, struct err **err)
{
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        if (str_eq(s, policies[i])) {
            *(enum restart_policy *)dst = (enum restart_policy)i;
            return 0;
        }
    }
    return err_new(err, EINVAL, "%s is unknown: known are no, on-failure, always, unless-stopped",
                   QUOTE(s));
}

static int decode_service_name(const json_t *value, void *dst, struct err **err)
{
    const char *name = NULL;

    if (string_decode(value, &name, err) < 0 || rfc1123_label_check("service", name, err) < 0)
        return -EINVAL;
    replace_str(dst, name);
    return 0;
}

static int decode_image(const json_t *value, void *dst, struct err **err)
{
    const char *image = NULL;

    if (string_decode(value, &image, err) < 0 || image_check(image, err) < 0)
        return -EINVAL;
    replace_str(dst, image);
    return 0;
}

static const struct field_type field_policy = { decode_policy, NULL, NULL };
static const struct field_type field_service_name = { decode_service_name, NULL, done_string };
static const struct field_type field_image = { decode_image, NULL, done_string };

static const struct field service_fields[] = {
    FIELD(service, name, "name", field_service_name),
    FIELD(service, image, "image", field_image),
    FIELD_OPTIONAL(service, restart_policy, "restart_policy", field_policy),
    { 0 },
};

static const struct list service_lists[] = {
    LIST(service, ports, "ports", ENTRIES_MAX, decode_port, NULL),
    LIST(service, env, "env", ENTRIES_MAX, decode_env, done_env),
    LIST(service, volumes, "volumes", ENTRIES_MAX, decode_volume, done_volume),
};

static int check_unique_entries(const struct service *s, struct err **err)
{
    for (size_t i = 0; i < s->n_env; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(s->env[i].name, s->env[j].name))
                return err_new(err, EINVAL, "env: %s is given twice", QUOTE(s->env[i].name));
    for (size_t i = 0; i < s->n_volumes; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(s->volumes[i].container_path, s->volumes[j].container_path))
                return err_new(err, EINVAL, "volumes: two are mounted to container_path %s",
                               QUOTE(s->volumes[i].container_path));
    return 0;
}

static int decode_service(const json_t *value, void *entry, struct err **err)
{
    struct service *s = entry;

    s->restart_policy = RESTART_UNLESS_STOPPED;
    if (fields_decode(value, service_fields, s, err) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(service_lists); i++)
        if (list_decode(value, &service_lists[i], s, err) < 0)
            return -EINVAL;
    return check_unique_entries(s, err);
}

static void done_service(void *entry)
{
    fields_done(service_fields, entry);
    for (size_t i = 0; i < ARRAY_LEN(service_lists); i++)
        list_done(&service_lists[i], entry);
}

/*
 * The score
 */
static const struct list score_services =
        LIST(score, services, "services", SERVICES_MAX, decode_service, done_service);

static int check_unique_names(const struct score *s, struct err **err)
{
    for (size_t i = 0; i < s->n_services; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(s->services[i].name, s->services[j].name))
                return err_new(err, EINVAL, "two services are named %s: names must differ",
                               QUOTE(s->services[i].name));
    return 0;
}

static int check_unique_ports(const struct score *s, struct err **err)
{
    unsigned char taken[2][UINT16_MAX / 8 + 1] = { 0 };

    for (size_t i = 0; i < s->n_services; i++) {
        const struct service *service = &s->services[i];

        for (size_t j = 0; j < service->n_ports; j++) {
            const struct port_mapping *port = &service->ports[j];
            unsigned char *byte = &taken[port->protocol[0] == 'u'][port->host / 8];
            unsigned char bit = (unsigned char)(1u << (port->host % 8));

            if (*byte & bit)
                return err_new(err, EINVAL,
                               "services[%zu]: ports[%zu]: host port %u/%s is given twice: a port "
                               "of the device serves one container",
                               i, j, port->host, port->protocol);
            *byte |= bit;
        }
    }
    return 0;
}

static int decode_data(const json_t *data, struct score *s, struct err **err)
{
    if (!json_is_object(data))
        return type_error(data, "an object", err);
    if (list_decode(data, &score_services, s, err) < 0)
        return -EINVAL;
    if (s->n_services == 0)
        return err_new(err, EINVAL, "services: at least one is needed");
    if (check_unique_names(s, err) < 0 || check_unique_ports(s, err) < 0)
        return -EINVAL;
    return 0;
}

static int decode_tagged(const json_t *object, struct score *s, struct err **err)
{
    const json_t *data = json_object_get(object, "data");
    const char *type = NULL;

    if (!json_is_object(object))
        return type_error(object, "an object", err);
    if (string_member(object, "type", &type, err) < 0)
        return -EINVAL;
    if (!str_eq(type, SCORE_TYPE))
        return err_new(err, EINVAL,
                       "type %s is not known to this agent, it knows " SCORE_TYPE
                       ": correct the type, or upgrade the agent",
                       QUOTE(type));
    if (!data)
        return err_new(err, EINVAL, "\"data\" is missing");
    if (decode_data(data, s, err) < 0)
        return err_wrap(err, "data");
    return 0;
}

int score_decode(const char *data, size_t len, struct score *ret, struct err **err)
{
    __attribute__((cleanup(score_done))) struct score s = { 0 };
    CLEANUP_JSON json_t *object = NULL;

    if (json_parse(data, len, SCORE_MAX, &object, err) < 0 || decode_tagged(object, &s, err) < 0)
        return err_wrap(err, "score");
    *ret = s;
    s = (struct score){ 0 };
    return 0;
}

void score_done(struct score *s)
{
    list_done(&score_services, s);
}
