/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_state.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/fleet_wire.h"

/* The texts, by member. */
#define TEXT(member) { #member, offsetof(struct fleet_state, member) }

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    TEXT(version),
    TEXT(accel),
    TEXT(logs),
    TEXT(kubeconfig),
    TEXT(nats_url),
    TEXT(nats_user),
    TEXT(nats_password_file),
    TEXT(ssh_key),
    TEXT(known_hosts),
};

static char **text_of(const struct fleet_state *s, size_t i)
{
    return (char **)(void *)((char *)(uintptr_t)s + texts[i].offset);
}

/* --- Reading --------------------------------------------------------------------------------- */

static int read_device(const json_t *object, struct fleet_device *d, struct err **err)
{
    json_int_t port = json_path_int(object, "ssh_port", 0);
    json_t *labels = json_object_get(object, "labels"), *label;
    size_t i;

    d->name = xstrdup(json_path_str(object, "name"));
    d->console = xstrdup(json_path_str(object, "console"));
    if (!d->name || !d->console || port < 1 || port > UINT16_MAX)
        return err_new(err, EINVAL, "a device has no name, no console or no port");
    d->ssh_port = (uint16_t)port;
    json_array_foreach(labels, i, label) if (json_is_string(label))
            strv_add(&d->labels, json_string_value(label));
    return 0;
}

static int read_up(const json_t *object, struct fleet_state *s, struct err **err)
{
    json_t *devices = json_object_get(object, "devices"), *device;
    size_t i;
    int r;

    for (i = 0; i < ARRAY_LEN(texts); i++)
        if (!*text_of(s, i))
            return err_new(err, EINVAL, "it has no '%s'", texts[i].name);
    if (json_array_size(devices) < 1 || json_array_size(devices) > FLEET_DEVICES_MAX)
        return err_new(err, EINVAL, "it has no list of 1 to %d 'devices'", FLEET_DEVICES_MAX);
    s->devices = xcalloc(json_array_size(devices), sizeof(*s->devices));
    json_array_foreach(devices, i, device) if ((r = read_device(device, &s->devices[s->n_devices++],
                                                                err)) < 0) return r;
    return 0;
}

static int read_state(const json_t *object, struct fleet_state *s, struct err **err)
{
    json_int_t protocol = json_path_int(object, "protocol", 0);

    s->pid = (pid_t)json_path_int(object, "pid", 0);
    if (protocol < 1 || s->pid < 1)
        return err_new(err, EINVAL, "it has no 'protocol' or no 'pid'");
    if (protocol != FLEET_PROTOCOL)
        return err_new(err, EPROTO, "it is of version %lld; this rig knows version %d",
                       (long long)protocol, FLEET_PROTOCOL);
    s->up = json_is_true(json_object_get(object, "up"));
    s->began_wall_ms = json_path_int(object, "began_wall_ms", 0);
    s->took_ms = json_path_int(object, "took_ms", 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        replace_str(text_of(s, i), json_path_str(object, texts[i].name));
    return s->up ? read_up(object, s, err) : 0;
}

int fleet_state_parse(const char *name, const char *text, size_t len, struct fleet_state *ret,
                      struct err **err)
{
    CLEANUP_FLEET_STATE struct fleet_state s = { 0 };
    CLEANUP_JSON json_t *object = NULL;
    int r = json_parse(text, len, FLEET_STATE_MAX, &object, err);

    if (r >= 0)
        r = read_state(object, &s, err);
    if (r == -EPROTO)
        *ret = (struct fleet_state){ .pid = s.pid };
    if (r < 0) {
        err_wrap(err, "%s", name);
        return r;
    }
    *ret = s;
    s = (struct fleet_state){ 0 };
    return 0;
}

int fleet_state_read(const char *path, struct fleet_state *ret, struct err **err)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = file_read(path, FLEET_STATE_MAX, &text, &len, err);

    return r < 0 ? r : fleet_state_parse(path, text, len, ret, err);
}

/* --- Writing --------------------------------------------------------------------------------- */

static json_t *device_json(const struct fleet_device *d)
{
    json_t *labels = json_array();

    for (char **l = d->labels; l && *l; l++)
        json_array_append_new(labels, json_string(*l));
    return json_pack("{s:s, s:i, s:o, s:s}", "name", d->name, "ssh_port", (int)d->ssh_port,
                     "labels", labels, "console", d->console);
}

int fleet_state_write(const char *path, const struct fleet_state *s, struct err **err)
{
    CLEANUP_JSON json_t *object =
            json_pack("{s:i, s:i, s:b, s:I, s:I}", "protocol", FLEET_PROTOCOL, "pid", (int)s->pid,
                      "up", (int)s->up, "began_wall_ms", (json_int_t)s->began_wall_ms, "took_ms",
                      (json_int_t)s->took_ms);
    json_t *devices = json_array();
    CLEANUP_FREE char *text = NULL;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (*text_of(s, i))
            json_object_set_new(object, texts[i].name, json_string(*text_of(s, i)));
    for (size_t i = 0; i < s->n_devices; i++)
        json_array_append_new(devices, device_json(&s->devices[i]));
    json_object_set_new(object, "devices", devices);
    text = json_text(object);
    return file_replace(path, text, strlen(text), 0600, err);
}

void fleet_state_done(struct fleet_state *s)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*text_of(s, i));
    for (size_t i = 0; i < s->n_devices; i++) {
        free(s->devices[i].name);
        free(s->devices[i].console);
        strv_free(s->devices[i].labels);
    }
    free(s->devices);
    *s = (struct fleet_state){ 0 };
}

const struct fleet_device *fleet_state_device(const struct fleet_state *s, const char *name)
{
    for (size_t i = 0; i < s->n_devices; i++)
        if (str_eq(s->devices[i].name, name))
            return &s->devices[i];
    return NULL;
}
