/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/podman_json.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"

#define ANSWER_MAX (16 * 1024 * 1024)

static char *text_at(const json_t *object, const char *path)
{
    const char *s = json_path_str(object, path);

    return xstrdup(s ? s : "");
}

static void read_labels(const json_t *labels, struct container *c)
{
    const char *deployment = json_string_value(json_object_get(labels, PODMAN_LABEL_DEPLOYMENT));
    const char *service = json_string_value(json_object_get(labels, PODMAN_LABEL_SERVICE));
    const char *spec = json_string_value(json_object_get(labels, PODMAN_LABEL_SPEC));

    c->deployment = xstrdup(deployment ? deployment : "");
    c->service = xstrdup(service ? service : "");
    c->spec = xstrdup(spec ? spec : "");
}

/* --- list ----------------------------------------------------------------------------------- */

int podman_json_list(const char *data, size_t len, struct containers *ret, struct err **err)
{
    CLEANUP_JSON json_t *list = NULL;
    __attribute__((cleanup(containers_done))) struct containers found = { 0 };
    json_t *item;
    size_t i;

    if (json_parse(data, len, ANSWER_MAX, &list, err) < 0)
        return err_wrap(err, "podman's list of containers");
    if (!json_is_array(list))
        return err_new(err, EPROTO, "podman's list of containers is no list");
    found.items = xcalloc(json_array_size(list) + 1, sizeof(*found.items));
    json_array_foreach(list, i, item)
    {
        struct container *c = &found.items[found.n];

        if (!json_path_str(item, "Id") || !json_path_str(item, "Names.0"))
            return err_new(err, EPROTO, "podman's list of containers: one without an id or a name");
        found.n++;
        c->id = text_at(item, "Id");
        c->name = text_at(item, "Names.0");
        c->state = text_at(item, "State");
        c->exit_code = (int)json_path_int(item, "ExitCode", 0);
        read_labels(json_object_get(item, "Labels"), c);
    }
    *ret = found;
    found = (struct containers){ 0 };
    return 0;
}

/* --- inspect -------------------------------------------------------------------------------- */

/* {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]} */
static void read_ports(const json_t *bindings, struct container *c)
{
    const char *key;
    json_t *list, *item;
    size_t i, cap = 0;

    json_object_foreach((json_t *)bindings, key, list)
    {
        json_array_foreach(list, i, item)
        {
            const char *host = json_path_str(item, "HostPort");
            struct port_mapping m = { 0 };

            if (!host || sscanf(host, "%hu", &m.host) != 1 ||
                sscanf(key, "%hu/%4s", &m.container, m.protocol) != 2)
                continue;
            c->ports = grow(c->ports, c->n_ports, &cap, sizeof(*c->ports));
            c->ports[c->n_ports++] = m;
        }
    }
}

static void read_mounts(const json_t *mounts, struct container *c)
{
    json_t *item;
    size_t i;

    json_array_foreach(mounts, i, item)
    {
        const char *source = json_path_str(item, "Source");
        const char *destination = json_path_str(item, "Destination");

        if (source && destination)
            strv_addf(&c->mounts, "%s:%s:%s", source, destination,
                      json_is_true(json_object_get(item, "RW")) ? "rw" : "ro");
    }
}

/* It started after it last ended, and yet does not run. */
static bool was_interrupted(const json_t *object)
{
    const char *started = json_path_str(object, "State.StartedAt");
    const char *finished = json_path_str(object, "State.FinishedAt");
    int64_t start, finish;

    if (json_is_true(json_path(object, "State.Running")) || !started ||
        clock_parse_rfc3339(started, &start, NULL) < 0 || start <= 0)
        return false;
    return !finished || clock_parse_rfc3339(finished, &finish, NULL) < 0 || finish < start;
}

int podman_json_container(const char *data, size_t len, struct container *ret, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    json_t *item;
    size_t i;

    if (json_parse(data, len, ANSWER_MAX, &object, err) < 0)
        return err_wrap(err, "podman's answer about a container");
    if (!json_path_str(object, "Id") || !json_path_str(object, "Name") ||
        !json_path_str(object, "State.Status"))
        return err_new(err, EPROTO, "podman's answer about a container has no id, name or state");
    ret->id = text_at(object, "Id");
    ret->name = text_at(object, "Name");
    ret->state = text_at(object, "State.Status");
    ret->exit_code = (int)json_path_int(object, "State.ExitCode", 0);
    ret->interrupted = was_interrupted(object);
    read_labels(json_path(object, "Config.Labels"), ret);
    ret->image = text_at(object, "ImageName");
    ret->image_id = text_at(object, "Image");
    ret->restart_policy = text_at(object, "HostConfig.RestartPolicy.Name");
    json_array_foreach(json_path(object, "Config.Env"), i, item) if (json_is_string(item))
            strv_add(&ret->env, json_string_value(item));
    read_ports(json_path(object, "HostConfig.PortBindings"), ret);
    read_mounts(json_path(object, "Mounts"), ret);
    return 0;
}

void container_done(struct container *c)
{
    free(c->id);
    free(c->name);
    free(c->deployment);
    free(c->service);
    free(c->spec);
    free(c->state);
    free(c->image);
    free(c->image_id);
    free(c->ports);
    strv_free(c->env);
    strv_free(c->mounts);
    free(c->restart_policy);
    *c = (struct container){ 0 };
}

void containers_done(struct containers *list)
{
    for (size_t i = 0; i < list->n; i++)
        container_done(&list->items[i]);
    free(list->items);
    *list = (struct containers){ 0 };
}

/* --- create --------------------------------------------------------------------------------- */

static json_t *env_of(const struct service *s)
{
    json_t *env = json_object();

    for (size_t i = 0; i < s->n_env; i++)
        json_object_set_new(env, s->env[i].name, json_string(s->env[i].value));
    return env;
}

static json_t *ports_of(const struct service *s)
{
    json_t *ports = json_array();

    for (size_t i = 0; i < s->n_ports; i++)
        json_array_append_new(ports, json_pack("{s:i, s:i, s:s}", "host_port", s->ports[i].host,
                                               "container_port", s->ports[i].container, "protocol",
                                               s->ports[i].protocol));
    return ports;
}

static json_t *mounts_of(const struct service *s)
{
    json_t *mounts = json_array();

    for (size_t i = 0; i < s->n_volumes; i++)
        json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:[s, s]}", "type", "bind",
                                                "source", s->volumes[i].host_path, "destination",
                                                s->volumes[i].container_path, "options", "rbind",
                                                s->volumes[i].read_only ? "ro" : "rw"));
    return mounts;
}

char *podman_json_create(const char *name, const char *deployment, const struct service *service,
                         const char *spec_digest)
{
    CLEANUP_JSON json_t *body = json_pack(
            "{s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:o, s:o, s:o, s:s}", "name", name, "image",
            service->image, "labels", PODMAN_LABEL_MANAGED, PODMAN_MANAGER, PODMAN_LABEL_DEPLOYMENT,
            deployment, PODMAN_LABEL_SERVICE, service->name, PODMAN_LABEL_SPEC, spec_digest, "env",
            env_of(service), "portmappings", ports_of(service), "mounts", mounts_of(service),
            "restart_policy", restart_policy_text(service->restart_policy));

    return json_text(body);
}

/* --- failures ------------------------------------------------------------------------------- */

char *podman_json_message(const char *data, size_t len)
{
    CLEANUP_JSON json_t *object = NULL;
    const char *message;

    if (json_parse(data, len, ANSWER_MAX, &object, NULL) < 0)
        return xstrndup(data, strnlen(data, 200));
    message = json_path_str(object, "message");
    return xstrdup(message ? message : "no message");
}

int podman_json_pulled(const char *data, size_t len, struct err **err)
{
    CLEANUP_FREE char *text = xstrndup(data, len), *failure = NULL;
    CLEANUP_STRV char **lines = strv_split(text, "\r\n");

    for (size_t i = 0; lines && lines[i]; i++) {
        CLEANUP_JSON json_t *event = NULL;
        const char *error = NULL;

        if (json_parse(lines[i], strlen(lines[i]), ANSWER_MAX, &event, NULL) >= 0)
            error = json_path_str(event, "error");
        if (error)
            replace_str(&failure, error);
    }
    return failure ? err_new(err, EIO, "%s", failure) : 0;
}
