/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/settings.h"

#include <errno.h>

#include "base/conf.h"
#include "base/duration.h"
#include "base/strv.h"

#define UNREACHABLE_DEFAULT_MS 75000 /* two and a half heartbeats */
#define UNREACHABLE_MIN_MS 100
#define UNREACHABLE_MAX_MS (24 * 60 * 60 * 1000)

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("kubeconfig", OPTIONAL, struct settings, kubeconfig, 1, 4096),
    CYAML_FIELD_MAPPING("nats", CYAML_FLAG_DEFAULT, struct settings, nats, bus_settings_fields),
    CYAML_FIELD_STRING_PTR("unreachable_after", OPTIONAL, struct settings, unreachable_after, 1,
                           32),
    CYAML_FIELD_ENUM("log_level", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct settings,
                     log_level, conf_log_levels, CONF_LOG_LEVELS),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, fields),
};

static int check(const char *path, struct settings *s, struct err **err)
{
    const char *text = s->unreachable_after;

    if (bus_settings_check(&s->nats, path, err) < 0)
        return -EINVAL;
    s->unreachable_after_ms = UNREACHABLE_DEFAULT_MS;
    if (text && duration_parse(text, &s->unreachable_after_ms, err) < 0)
        return err_wrap(err, "%s: unreachable_after", path);
    if (s->unreachable_after_ms < UNREACHABLE_MIN_MS ||
        s->unreachable_after_ms > UNREACHABLE_MAX_MS)
        return err_new(err, EINVAL, "%s: unreachable_after: must be between 100ms and 24h", path);
    return 0;
}

int settings_load(const char *path, struct settings **ret, struct err **err)
{
    CLEANUP(settings_free) struct settings *s = NULL;

    if (conf_load(path, &schema, (void **)&s, err) < 0)
        return -EINVAL;
    if (check(path, s, err) < 0)
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
