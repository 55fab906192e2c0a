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

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_value_t label_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 512),
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("device_id", CYAML_FLAG_POINTER, struct settings, device_id, 1, 253),
    CYAML_FIELD_SEQUENCE_COUNT("labels", OPTIONAL, struct settings, labels, labels_count,
                               &label_value, 0, 256),
    CYAML_FIELD_MAPPING("nats", CYAML_FLAG_DEFAULT, struct settings, nats, bus_settings_fields),
    CYAML_FIELD_STRING_PTR("podman_socket", OPTIONAL, struct settings, podman_socket, 1, 100),
    CYAML_FIELD_STRING_PTR("state_dir", OPTIONAL, struct settings, state_dir, 1, 1024),
    CYAML_FIELD_STRING_PTR("heartbeat", OPTIONAL, struct settings, heartbeat, 1, 32),
    CYAML_FIELD_STRING_PTR("tick", OPTIONAL, struct settings, tick, 1, 32),
    CYAML_FIELD_ENUM("log_level", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct settings,
                     log_level, conf_log_levels, CONF_LOG_LEVELS),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, fields),
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

    if (conf_load(path, &schema, (void **)&s, err) < 0)
        return -EINVAL;
    if (bus_settings_check(&s->nats, path, err) < 0)
        return -EINVAL;
    if (interval(path, "heartbeat", s->heartbeat, HEARTBEAT_DEFAULT_MS, &s->heartbeat_ms, err) <
                0 ||
        interval(path, "tick", s->tick, TICK_DEFAULT_MS, &s->tick_ms, err) < 0 ||
        absolute(path, "podman_socket", &s->podman_socket, "/run/podman/podman.sock", err) < 0 ||
        absolute(path, "state_dir", &s->state_dir, "/var/lib/fleet-agent", err) < 0)
        return -EINVAL;
    if (!s->log_level)
        s->log_level = LOG_LEVEL_INFO;
    *ret = steal_ptr(s);
    return 0;
}

void settings_free(struct settings *s)
{
    if (s)
        conf_free(&schema, s);
}
