/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* /etc/fleet-operator/operator.yml, see operator.yml.example. */

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "fleet/link/bus_settings.h"

#define SETTINGS_PATH "/etc/fleet-operator/operator.yml"

struct settings {
    char *kubeconfig; /* NULL: the pod's service account */
    struct bus_settings nats;
    char *unreachable_after; /* as written; NULL: the default */
    enum log_level log_level;

    int64_t unreachable_after_ms;
};

/* The password file is not read. */
int settings_load(const char *path, struct settings **ret, struct err **err);
void settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free)
