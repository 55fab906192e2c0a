/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/settings.h"

#include <errno.h>

#include "base/conf.h"
#include "base/duration.h"
#include "base/strv.h"

#define UNREACHABLE_DEFAULT_MS 75000 /* two and a half heartbeats */
#define UNREACHABLE_MIN_MS 100
#define UNREACHABLE_MAX_MS (24 * 60 * 60 * 1000)

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

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("kubeconfig", OPTIONAL, struct document, settings.kubeconfig, 1, 4096),
    CYAML_FIELD_MAPPING("nats", CYAML_FLAG_DEFAULT, struct document, settings.nats, nats_fields),
    CYAML_FIELD_STRING_PTR("unreachable_after", OPTIONAL, struct document,
                           settings.unreachable_after, 1, 32),
    CYAML_FIELD_ENUM("log_level", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct document, level,
                     levels, CYAML_ARRAY_LEN(levels)),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct document, fields),
};

static int check(const char *path, struct settings *s, struct err **err)
{
    const char *text = s->unreachable_after;

    if (!str_starts(s->nats.url, "nats://") && !str_starts(s->nats.url, "tls://"))
        return err_new(err, EINVAL, "%s: nats.url: '%s' is neither nats:// nor tls://", path,
                       s->nats.url);
    if (!s->nats.user != !s->nats.password_file)
        return err_new(err, EINVAL, "%s: nats: user and password_file go together", path);
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
    struct document *document = NULL;

    if (conf_load(path, &schema, (void **)&document, err) < 0)
        return -EINVAL;
    s = &document->settings;
    if (check(path, s, err) < 0)
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
