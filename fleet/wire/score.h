/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The score of a deployment: {"type": "PodmanV0", "data": {"services": [...]}}. The operator routes
 * it as bytes and looks at nothing but its size and its type's shape; the agent decodes it. Caps:
 * 256 KiB, 64 services, 256 entries of each list in a service.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SCORE_MAX (256 * 1024)

enum restart_policy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };
const char *restart_policy_text(enum restart_policy policy); /* "unless-stopped", ... */

struct port_mapping {
    uint16_t host, container;
    char protocol[5]; /* "tcp" or "udp"; "8080:80/udp" on the wire */
};

struct env_var {
    char *name, *value;
};

struct volume {
    char *host_path, *container_path; /* absolute, as podman shows them: "/a/b", no "." or ".." */
    bool read_only;
};

struct service {
    char *name; /* RFC 1123 label, unique in the deployment */
    char *image;
    struct port_mapping *ports;
    size_t n_ports;
    struct env_var *env; /* order kept */
    size_t n_env;
    struct volume *volumes;
    size_t n_volumes;
    enum restart_policy restart_policy;
};

struct score {
    struct service *services; /* at least one */
    size_t n_services;
};

/* An unknown type, a duplicate service name or host port, a bad port, a relative path, ... is an
 * error whose text a device engineer can act on: it ends up in last_error. */
int score_decode(const char *data, size_t len, struct score *ret, struct err **err);
void score_done(struct score *s);
