/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * fleets/NAME/state.json: what does not change while a fleet is up and what commands need that do not
 * ask its keeper. Written whole and renamed, readable by its owner only. {"protocol":1,...}: what
 * another version wrote is read no further than the keeper's pid.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"

#define FLEET_STATE_MAX (1024 * 1024)
#define FLEET_DEVICES_MAX 64

struct fleet_device {
    char *name;
    uint16_t ssh_port; /* on 127.0.0.1 */
    char **labels;     /* strv "key=value" */
    char *console;     /* path of the serial console's log */
};

struct fleet_state {
    pid_t pid;
    bool up;               /* false: it is still coming up, and the rest is not known yet */
    int64_t began_wall_ms; /* when it was called for */
    int64_t took_ms;       /* until it was up */
    char *version;         /* of the rig */
    char *accel;           /* "kvm", "tcg" */
    char *logs;            /* folder of the components' logs */
    char *kubeconfig;
    char *nats_url, *nats_user, *nats_password_file;
    char *ssh_key, *known_hosts;
    struct fleet_device *devices;
    size_t n_devices;
};

/* -EPROTO: of another version; only `pid` is set. *ret is to be freed with fleet_state_done(). */
int fleet_state_parse(const char *name, const char *text, size_t len, struct fleet_state *ret,
                      struct err **err);
int fleet_state_read(const char *path, struct fleet_state *ret, struct err **err);
int fleet_state_write(const char *path, const struct fleet_state *s, struct err **err);
void fleet_state_done(struct fleet_state *s);
#define CLEANUP_FLEET_STATE __attribute__((cleanup(fleet_state_done)))

/* NULL when there is none of that name. */
const struct fleet_device *fleet_state_device(const struct fleet_state *s, const char *name);
