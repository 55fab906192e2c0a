/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * podman's libpod REST API over its Unix socket, asynchronous on the loop. Only containers with our
 * label are ever listed or touched. Protocol: docs.podman.io/en/latest/_static/api.html, v5.0.0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/link/http.h"
#include "fleet/wire/score.h"

#define PODMAN_LABEL_MANAGED "io.nationtech.fleet.managed-by" /* = "fleet-agent" */
#define PODMAN_MANAGER "fleet-agent"
#define PODMAN_LABEL_DEPLOYMENT "io.nationtech.fleet.deployment"
#define PODMAN_LABEL_SERVICE "io.nationtech.fleet.service"
#define PODMAN_LABEL_SPEC "io.nationtech.fleet.spec" /* digest of the service's spec, hex */

#define PODMAN_STOP_S 300 /* longest graceful stop, seconds */
#define PODMAN_PULL_MS (30 * 60 * 1000)

/* One of our containers as podman reports it. */
struct container {
    char *id, *name;
    char *deployment, *service, *spec; /* from its labels; "" when a label is missing */
    /* "running", "created", "exited", "paused", ...; "broken": podman cannot say what it is, as after a
     * power cut that came while it was being made; what follows here is then empty. */
    char *state;
    int exit_code;
    bool interrupted; /* it does not run, but never ended by itself: the machine went down */
    /* As inspected, for drift. */
    char *image, *image_id;
    struct port_mapping *ports;
    size_t n_ports;
    char **env;    /* strv "NAME=value", as given at creation plus the image's */
    char **mounts; /* strv "host:container:ro|rw" */
    char *restart_policy;
};
void container_done(struct container *c);

struct containers {
    struct container *items;
    size_t n;
};
void containers_done(struct containers *list);

struct podman;

int podman_new(struct http *h, const char *socket_path, struct podman **ret, struct err **err);
/* Operations that run are given up without calling back. Before http_free(). */
void podman_free(struct podman *p);
DEFINE_CLEANUP(struct podman *, podman_free)

/* Every operation calls `done` exactly once, on the loop; `failure` is NULL on success and carries
 * podman's own message otherwise (ENOENT: no such object; ECONNREFUSED/ENOENT on connect: podman is
 * not there). */
typedef void (*podman_done)(const struct err *failure, void *userdata);

/* Lists and inspects all our containers. The list is borrowed during the callback. */
int podman_list(struct podman *p,
                void (*done)(const struct containers *list, const struct err *failure,
                             void *userdata),
                void *userdata, struct err **err);
int podman_image_exists(struct podman *p, const char *image,
                        void (*done)(bool exists, const struct err *failure, void *userdata),
                        void *userdata, struct err **err);
int podman_pull(struct podman *p, const char *image, podman_done done, void *userdata,
                struct err **err);
/* Creates (does not start) the container for `service` of `deployment` under `name`. Its image must
 * exist. Once it is done it survives a power cut. */
int podman_create(struct podman *p, const char *name, const char *deployment,
                  const struct service *service, const char *spec_digest, podman_done done,
                  void *userdata, struct err **err);
/* `container` is a name or an id. Starting what runs and stopping what is stopped succeed. */
int podman_start(struct podman *p, const char *container, podman_done done, void *userdata,
                 struct err **err);
int podman_stop(struct podman *p, const char *container, int timeout_s, podman_done done,
                void *userdata, struct err **err);
int podman_rename(struct podman *p, const char *container, const char *name, podman_done done,
                  void *userdata, struct err **err);
/* Removes a container with its anonymous volumes, in whatever state it is: what still runs in it is
 * killed, so stop it first. An absent one is success. */
int podman_remove(struct podman *p, const char *container, podman_done done, void *userdata,
                  struct err **err);
