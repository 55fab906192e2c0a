/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The `nats:` block of a daemon's settings file: where NATS is and as whom to come. */

#include "base/conf.h"
#include "fleet/link/bus.h"

struct bus_settings {
    char *url;
    char *user;          /* NULL: none */
    char *password_file; /* NULL: none */
    char *ca_file;       /* NULL: the system's */
};

/* For a CYAML_FIELD_MAPPING. */
extern const cyaml_schema_field_t bus_settings_fields[];

/* Refuses what the schema cannot: another scheme, a user without password. `path` stands in errors. */
int bus_settings_check(const struct bus_settings *s, const char *path, struct err **err);

/* bus_new() with these settings; reads the password file. */
int bus_open(const struct bus_settings *s, const char *name, sd_event *loop,
             const struct bus_handler *handler, struct bus **ret, struct err **err);
