/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Internal to podman.c: what libpod's JSON means. Pure. */

#include "base/json.h"
#include "fleet/link/podman.h"

/* An answer to containers/json: id, name, labels, state and exit code of each. */
int podman_json_list(const char *data, size_t len, struct containers *ret, struct err **err);
/* An answer to containers/ID/json. */
int podman_json_container(const char *data, size_t len, struct container *ret, struct err **err);
/* The body of containers/create. The caller frees it. */
char *podman_json_create(const char *name, const char *deployment, const struct service *service,
                         const char *spec_digest);
/* The last error in an answer to images/pull, which is a line of JSON for each event. */
int podman_json_pulled(const char *data, size_t len, struct err **err);
/* podman's own message in an answer that is no success; the caller frees it. */
char *podman_json_message(const char *data, size_t len);
