/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the files lab.c and lab_*.c share. */

#include <pthread.h>

#include "rig/lab/artefact.h"
#include "rig/lab/lab.h"

struct lab_member {
    char *name, **labels, *arch;
    char *identity; /* NULL before the first reach */
    const struct artefact *image, *hello;
    char **archives; /* of containers: loaded on the device */
};

struct lab {
    char *dir, *cache_dir, *root, *programs, *libvirt_uri, *accel, *apiserver;
    bool cold;
    int cpus, memory_mb, disk_gb;
    int64_t heartbeat_ms, unreachable_after_ms, tick_ms, boot_timeout_ms;
    const volatile sig_atomic_t *stop;
    void (*progress)(const char *line, void *userdata);
    void (*phase)(const char *name, bool end, void *userdata);
    lab_on_event *event;
    void *userdata;
    pthread_mutex_t telling; /* one call of `progress`, `phase` or `event` at a time */
    struct ledger *ledger;   /* borrowed */
    struct lab_member *members;
    size_t n_members;

    struct artefact *artefacts;
    size_t n_artefacts, cap_artefacts;
    struct supervisor *supervisor;
    struct machines *machines;
    struct control_plane *control;
    struct bus *bus;
    struct observer *observer; /* NULL: nobody listens */
    char *key_path, *public_key;
    char *password, *device_password; /* of NATS, made for this run */
    char **secrets;                   /* strv */

    bool component_failed;
    double factor; /* how slow machines are here; 0 before it was measured */

    char *devices_nats; /* URL of NATS as devices see it; NULL before it is up */
};

/* --- progress, from any thread --- */

struct lab_phase {
    char name[64];
};

__attribute__((format(printf, 2, 3))) void lab_say(struct lab *lab, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) struct lab_phase lab_phase_begin(struct lab *lab,
                                                                       const char *fmt, ...);
void lab_phase_end(struct lab *lab, const struct lab_phase *phase);
/* Passes the result of a component's score on, and notes whether it is what failed. */
int lab_component(struct lab *lab, int r);

/* --- devices, side by side --- */

struct lab_crew;

int lab_machines_open(struct lab *lab, struct err **err);
/* How slow the devices' kinds of machines are here: lab->factor is that of the slowest. */
int lab_measure(struct lab *lab, struct err **err);
/* Switches all devices on. *ret is set in any case and to be ended. */
int lab_devices_begin(struct lab *lab, struct lab_crew **ret, struct err **err);
/* NATS is up: agents may be installed. */
void lab_devices_go_on(struct lab_crew *crew);
/* Waits until all devices are enrolled. `servers` is how the servers fared: negative with `err` set,
 * which ends the devices, too. The result is that of what failed first. */
int lab_devices_end(struct lab_crew *crew, int servers, struct err **err);
/* A connection of one's own. */
int lab_connect(struct lab *lab, struct bus **ret, struct err **err);

#define NATS_USER "fleet-operator" /* of the servers and of the rig */
#define NATS_DEVICE_USER "fleet-device"

/* By their scores: a component that is as it should be is left alone. */
int lab_deploy_agent(struct lab *lab, const struct lab_member *m, const struct device_host *device,
                     struct bus *bus, struct err **err);
int lab_deploy_operator(struct lab *lab, struct err **err);
