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
    pthread_mutex_t telling; /* one call of `phase` or `event` at a time */
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

    char (*phases)[64]; /* names of those that began */
    size_t n_phases, cap_phases;
};

#define NATS_USER "fleet-operator" /* of the servers and of the rig */

/* By their scores: a component that is as it should be is left alone. */
int lab_deploy_agent(struct lab *lab, const struct lab_member *m, const struct device_host *device,
                     struct err **err);
int lab_deploy_operator(struct lab *lab, struct err **err);
