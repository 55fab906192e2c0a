/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* /etc/fleet-agent/agent.yml, see agent.yml.example. */

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "fleet/link/bus_settings.h"

#define SETTINGS_PATH "/etc/fleet-agent/agent.yml"

struct settings {
    char *device_id;
    char **labels; /* "key=value" */
    unsigned labels_count;
    struct bus_settings nats;
    char *podman_socket; /* never NULL once loaded; neither is state_dir */
    char *state_dir;
    char *heartbeat, *tick; /* as written; NULL: the default */
    enum log_level log_level;

    int64_t heartbeat_ms, tick_ms;
};

/* Refuses what cannot be right on its face; whether device id and labels are valid is for the caller
 * to check. The password file is not read. */
int settings_load(const char *path, struct settings **ret, struct err **err);
void settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free)
