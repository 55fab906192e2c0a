/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A lab: what a scenario runs on. lab_up() provisions in parallel what does not depend on each other
 * (artefacts, control plane, machines), deploys every component through its score, and leaves a
 * fleet whose smoke tests passed. lab_free() takes everything down, whatever state it is in.
 *
 * Calls block, on the thread that made the lab. `stop` in the config is polled by every wait: once
 * it is set (Ctrl-C, TERM) the calls return -ECANCELED.
 */

#include <signal.h>

#include "fleet/link/bus.h"
#include "rig/lab/control.h"
#include "rig/lab/event.h"
#include "rig/lab/machines.h"
#include "rig/lab/supervisor.h"
#include "rig/ledger/ledger.h"

/* This host's loopback as devices see it, in user networking. */
#define DEVICES_SEE "10.0.2.2"

struct lab_device {
    const char *name;
    const char *const *labels; /* "key=value", NULL-terminated */
    const char *arch;          /* NULL: the run's */
};

struct lab_config {
    const char *dir;       /* of this run; made if absent */
    const char *cache_dir; /* $XDG_CACHE_HOME/fleetrig */
    const char *root;      /* folder with images/ and bin programs' folder's parent; see rig/cmd */
    const char *programs;  /* folder of fleet-operator and fleet-agent */
    const char *arch;      /* "x86_64" */
    const char *libvirt_uri;      /* NULL: choose */
    const char *accel;            /* "kvm", "tcg"; NULL: what a boot probe proved */
    const char *apiserver;        /* NULL: KUBEBUILDER_ASSETS, else our own */
    bool cold;                    /* boot each device; else it is restored from a snapshot */
    int cpus, memory_mb, disk_gb; /* of a device */
    int64_t heartbeat_ms, unreachable_after_ms, tick_ms; /* of the deployed programs */
    int64_t boot_timeout_ms;
    const struct lab_device *devices;
    size_t n_devices;
    /* Components whose disks can lose what they did not sync, NULL-terminated; NULL for none. Where
     * this host cannot do that, lab_new() fails. */
    const char *const *lossy;
    const volatile sig_atomic_t *stop;
    /* Phases for people: "machine edge-1: waiting for SSH". */
    void (*progress)(const char *line, void *userdata);
    /* The same, when each begins and when it has ended well. May be NULL; from any thread, as `event`. */
    void (*phase)(const char *name, bool end, void *userdata);
    lab_on_event *event; /* NULL: nobody listens */
    /* Where processes, machines, folders and mounts are journalled. Borrowed; NULL: nowhere. */
    struct ledger *ledger;
    void *userdata;
};

struct lab;

int lab_new(const struct lab_config *config, struct lab **ret, struct err **err);
int lab_up(struct lab *lab, struct err **err);
/* What made lab_up() fail: a component of the fleet (its deployment or its smoke test), or else this
 * host, which could not provide what a lab is made of. */
bool lab_component_failed(const struct lab *lab);
void lab_free(struct lab *lab);
DEFINE_CLEANUP(struct lab *, lab_free)

/* How slow machines are here and now (rig/lab/calibrate.h): at least 1; 0 before it was measured. */
double lab_factor(const struct lab *lab);

/* What verbs need. Borrowed. */
struct supervisor *lab_supervisor(struct lab *lab);
struct machines *lab_machines(struct lab *lab);
struct kube *lab_kube(struct lab *lab);
struct bus *lab_bus(struct lab *lab);
const char *lab_kubeconfig(struct lab *lab);
/* NULL for an unknown device. Reaching it may block until it answers, at most `timeout_ms`. */
int lab_reach(struct lab *lab, const char *device, int64_t timeout_ms,
              const struct device_host **ret, struct err **err);
/* machine-id and SSH host key as first seen: "machine-id ... host key SHA256:...". Owned. */
const char *lab_identity(struct lab *lab, const char *device);
/* strv: what must not be seen in a report: passwords. Known from lab_new() on. Owned by the lab. */
char *const *lab_secrets(const struct lab *lab);
/* Something was seen to happen that the lab itself does not notice: LAB_STATE, LAB_LOG. */
void lab_tell(struct lab *lab, enum lab_event_kind kind, const char *lane, const char *text);
/* Components of the control plane: "etcd", "apiserver", "nats", "operator". Starts one again as
 * before, on the same port and data, and waits until it serves, and what stands on it. */
int lab_restart(struct lab *lab, const char *component, struct err **err);
/* "10.0.2.2:PORT", by which devices reach it; an error for one that they cannot. The caller frees it. */
int lab_address(struct lab *lab, const char *component, char **ret, struct err **err);
/* 0 while everything that should run does; else what died and its last words. */
int lab_check(struct lab *lab, struct err **err);

/* Copies what explains a failure into `dir`, readable by its owner only: consoles, component logs,
 * journals of guests that answer, last seen objects and keys. Goes on when one cannot be had; what is
 * missing is noted in `dir`/missing.txt. */
void lab_evidence(struct lab *lab, const char *dir);
/* Of these only the logs of the components: cheap, for a run that went well. */
void lab_logs(struct lab *lab, const char *dir);
