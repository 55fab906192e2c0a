/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/settings.h"

#include <errno.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

#define HEARTBEAT_DEFAULT_MS 30000
#define TICK_DEFAULT_MS 30000
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS (60 * 60 * 1000)

/* libcyaml leaves what is absent at zero, and zero is a level of its own. */
enum written_level { WRITTEN_NONE, WRITTEN_ERROR, WRITTEN_WARNING, WRITTEN_INFO, WRITTEN_DEBUG };

struct document {
    struct settings settings;
    enum written_level level;
};

static const cyaml_strval_t levels[] = { { "error", WRITTEN_ERROR },
                                         { "warning", WRITTEN_WARNING },
                                         { "info", WRITTEN_INFO },
                                         { "debug", WRITTEN_DEBUG } };

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t nats_fields[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct nats_settings, url, 1, 1024),
    CYAML_FIELD_STRING_PTR("user", OPTIONAL, struct nats_settings, user, 1, 256),
    CYAML_FIELD_STRING_PTR("password_file", OPTIONAL, struct nats_settings, password_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("ca_file", OPTIONAL, struct nats_settings, ca_file, 1, 4096),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t label_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 512),
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("device_id", CYAML_FLAG_POINTER, struct document, settings.device_id, 1,
                           253),
    CYAML_FIELD_SEQUENCE_COUNT("labels", OPTIONAL, struct document, settings.labels,
                               settings.labels_count, &label_value, 0, 256),
    CYAML_FIELD_MAPPING("nats", CYAML_FLAG_DEFAULT, struct document, settings.nats, nats_fields),
    CYAML_FIELD_STRING_PTR("podman_socket", OPTIONAL, struct document, settings.podman_socket, 1,
                           100),
    CYAML_FIELD_STRING_PTR("state_dir", OPTIONAL, struct document, settings.state_dir, 1, 1024),
    CYAML_FIELD_STRING_PTR("heartbeat", OPTIONAL, struct document, settings.heartbeat, 1, 32),
    CYAML_FIELD_STRING_PTR("tick", OPTIONAL, struct document, settings.tick, 1, 32),
    CYAML_FIELD_ENUM("log_level", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct document, level,
                     levels, CYAML_ARRAY_LEN(levels)),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct document, fields),
};

static int interval(const char *path, const char *key, const char *text, int64_t otherwise,
                    int64_t *ret, struct err **err)
{
    int64_t ms = otherwise;

    if (text && duration_parse(text, &ms, err) < 0)
        return err_wrap(err, "%s: %s", path, key);
    if (ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS)
        return err_new(err, EINVAL, "%s: %s: must be between 100ms and 1h", path, key);
    *ret = ms;
    return 0;
}

static int absolute(const char *path, const char *key, char **value, const char *otherwise,
                    struct err **err)
{
    if (!*value)
        *value = xstrdup(otherwise);
    if (**value != '/')
        return err_new(err, EINVAL, "%s: %s: '%s' is not an absolute path", path, key, *value);
    return 0;
}

int settings_load(const char *path, struct settings **ret, struct err **err)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    struct document *document = NULL;

    if (conf_load(path, &schema, (void **)&document, err) < 0)
        return -EINVAL;
    s = &document->settings;
    if (!str_starts(s->nats.url, "nats://") && !str_starts(s->nats.url, "tls://"))
        return err_new(err, EINVAL, "%s: nats.url: '%s' is neither nats:// nor tls://", path,
                       s->nats.url);
    if (interval(path, "heartbeat", s->heartbeat, HEARTBEAT_DEFAULT_MS, &s->heartbeat_ms, err) <
                0 ||
        interval(path, "tick", s->tick, TICK_DEFAULT_MS, &s->tick_ms, err) < 0 ||
        absolute(path, "podman_socket", &s->podman_socket, "/run/podman/podman.sock", err) < 0 ||
        absolute(path, "state_dir", &s->state_dir, "/var/lib/fleet-agent", err) < 0)
        return -EINVAL;
    s->log_level =
            document->level ? (enum log_level)(document->level - WRITTEN_ERROR) : LOG_LEVEL_INFO;
    *ret = steal_ptr(s);
    return 0;
}

void settings_free(struct settings *s)
{
    /* `settings` is the first member of the document that libcyaml made. */
    if (s)
        conf_free(&schema, s);
}
