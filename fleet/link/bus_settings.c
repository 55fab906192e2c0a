/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/bus_settings.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

const cyaml_schema_field_t bus_settings_fields[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER, struct bus_settings, url, 1, 1024),
    CYAML_FIELD_STRING_PTR("user", OPTIONAL, struct bus_settings, user, 1, 256),
    CYAML_FIELD_STRING_PTR("password_file", OPTIONAL, struct bus_settings, password_file, 1, 4096),
    CYAML_FIELD_STRING_PTR("ca_file", OPTIONAL, struct bus_settings, ca_file, 1, 4096),
    CYAML_FIELD_END,
};

int bus_settings_check(const struct bus_settings *s, const char *path, struct err **err)
{
    if (!str_starts(s->url, "nats://") && !str_starts(s->url, "tls://"))
        return err_new(err, EINVAL, "%s: nats.url: '%s' is neither nats:// nor tls://", path,
                       s->url);
    if (!s->user != !s->password_file)
        return err_new(err, EINVAL, "%s: nats: user and password_file go together", path);
    return 0;
}

int bus_open(const struct bus_settings *s, const char *name, sd_event *loop,
             const struct bus_handler *handler, struct bus **ret, struct err **err)
{
    CLEANUP_FREE char *password = NULL;
    struct bus_config config = {
        .url = s->url, .name = name, .user = s->user, .ca_file = s->ca_file
    };
    int r;

    if (s->password_file && conf_secret(s->password_file, &password, err) < 0)
        return err_wrap(err, "nats.password_file");
    config.password = password;
    r = bus_new(&config, loop, handler, 0, ret, err);
    if (password)
        explicit_bzero(password, strlen(password));
    return r;
}
