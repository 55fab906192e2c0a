/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What runs on a device, as podman itself says, over SSH: the agent's word is not taken for it. */

#include <stdbool.h>

#include "rig/verbs/verb.h"

/* One container of a deployment. */
struct seen_container {
    char *id, *service, *image, *state;
    long long started; /* seconds since 1970 */
};

struct seen_containers {
    struct seen_container *items; /* sorted by id */
    size_t n;
};

int containers_look(struct verb_run *run, const char *device, const char *deployment,
                    struct seen_containers *ret, struct err **err);
/* The same from podman's answer. Pure. */
int containers_decode(const char *json, struct seen_containers *ret, struct err **err);
void seen_containers_done(struct seen_containers *list);
#define CLEANUP_CONTAINERS __attribute__((cleanup(seen_containers_done)))

/* "web 0123456789ab localhost/hello:v1 running, ...", or "no container". The caller frees it. */
char *containers_text(const struct seen_containers *list);
