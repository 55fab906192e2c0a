/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What is desired of each (device, deployment), what its agent reports and what podman there shows,
 * side by side, and how they differ. Pure: from the values of the buckets and podman's answers, of
 * any bytes. What could not be asked differs from nothing.
 */

#include <stddef.h>

#include "base/map.h"

struct observed {        /* a zeroed one is empty */
    struct map rows;     /* "device deployment" -> struct observed_row */
    struct map answered; /* devices whose podman answered; the values mean nothing */
};

/* An entry of desired-state, or of device-state; another key is passed over. */
void observed_desired(struct observed *o, const char *key, const char *value, size_t len);
void observed_state(struct observed *o, const char *key, const char *value, size_t len);
/* What `podman ps --all --format json` of a device says. */
void observed_containers(struct observed *o, const char *device, const char *json);

/* [{"device", "deployment", "desired", "reported", "containers"[, "differs"]}, ...], texts for
 * people, by device and deployment. The caller frees it. */
char *observed_text(const struct observed *o);
void observed_done(struct observed *o);
