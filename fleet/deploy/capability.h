/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What a place offers, named after the need and not after the tool. A score takes the capabilities
 * that it needs as typed arguments, so the compiler refuses a place that does not offer them: an
 * embedded control plane offers a Kubernetes API and a service host, a device offers host
 * configuration, a laptop with libvirt offers a machine host. A cluster offers the same service
 * host by StatefulSets instead of processes, and no score changes.
 *
 * Each capability is a table of functions and the object behind them. Calls block; each returns 0
 * or a negative errno with `err` set.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "fleet/link/kube.h"

/* --- Kubernetes API ------------------------------------------------------------------------- */

struct kube_api {
    struct kube *kube;      /* borrowed */
    const char *kubeconfig; /* a file for programs that need one; NULL inside a cluster */
};

/* --- Service host: keeps server components running ------------------------------------------- */

struct service_file {
    const char *name; /* "nats.conf" */
    const char *content;
    bool secret; /* readable by the service only */
};

enum service_ready {
    READY_RUNNING,   /* it has not exited after its first second */
    READY_NATS_INFO, /* its first port greets with an INFO line */
    READY_HTTP_OK    /* GET of `ready_path` on its first port answers 200 */
};

struct service_port {
    const char *name; /* "client" */
    uint16_t number;  /* in a cluster; a service host of processes chooses a free one */
};

/* In arguments and file contents, {config}, {data} and {port:NAME} stand for the folder of the
 * files, the durable folder and a port's number. */
struct service_spec {
    const char *name;        /* "nats": also the log's name and the handle of faults */
    const char *program;     /* "nats-server": found by the host (path or image) */
    const char *const *args; /* NULL-terminated */
    const char *const *env;  /* NULL-terminated "NAME=value", or NULL */
    const struct service_file *files;
    size_t n_files;
    const struct service_port *ports;
    size_t n_ports;
    bool durable; /* needs {data}, kept over restarts */
    enum service_ready ready;
    const char *ready_path;
    int64_t ready_timeout_ms;
};

enum audience {
    FOR_SERVERS, /* other components and this program */
    FOR_DEVICES  /* devices, from where they stand */
};

struct service_host {
    /* Makes it so that the service runs as specified and is ready. *ret_changed: false when it
     * already did. */
    int (*ensure)(void *impl, const struct service_spec *spec, bool *ret_changed, struct err **err);
    /* "HOST:PORT" of a port of a service that was ensured. The caller frees it. */
    int (*endpoint)(void *impl, const char *service, const char *port, enum audience audience,
                    char **ret, struct err **err);
    /* Stops it and forgets its data; one that does not run is success. */
    int (*remove)(void *impl, const char *service, struct err **err);
    void *impl;
};

/* --- Device host: configuration of one Linux host -------------------------------------------- */

struct host_file {
    const char *path; /* absolute */
    const void *data;
    size_t len;
    mode_t mode;
    bool changed; /* set by put_files(): it was not so before */
};

struct device_host {
    /* Runs a program (no shell), stdin empty. *ret_status is its exit status; its output, at most
     * 1 MiB, is *ret_out (may be NULL), which the caller frees. */
    int (*run)(void *impl, const char *const *argv, int64_t timeout_ms, int *ret_status,
               char **ret_out, struct err **err);
    /* Makes the files have this content, mode and root as owner, and their folders exist. Each is
     * replaced atomically, all are durable on return; those that are so already are left alone. */
    int (*put_files)(void *impl, struct host_file *files, size_t n, struct err **err);
    void *impl;
};

/* Runs and makes a non-zero exit an error that quotes the output. */
int device_run(const struct device_host *host, const char *const *argv, int64_t timeout_ms,
               char **ret_out, struct err **err);

/* --- Machine host: virtual machines ----------------------------------------------------------- */

struct machine_spec {
    const char *name;
    const char *arch;    /* "x86_64", "aarch64" */
    const char *image;   /* folder of a device image: disk.qcow2, vmlinuz, initrd.img */
    const char *ssh_key; /* public key line that may log in as root */
    int cpus;
    int memory_mb;
    int disk_gb;
    /* Local container archives that the machine may come with, loaded already. NULL: none. */
    const char *const *image_archives;
};

struct machine_host {
    /* Makes the machine exist and run. A leftover of that name from a dead run is replaced, never
     * reused; one that this host made itself and that runs is left alone (*ret_changed = false). */
    int (*ensure)(void *impl, const struct machine_spec *spec, bool *ret_changed, struct err **err);
    /* Waits until it can be configured and returns how. Owned by the machine host. */
    int (*reach)(void *impl, const char *name, int64_t timeout_ms, const struct device_host **ret,
                 struct err **err);
    int (*remove)(void *impl, const char *name, struct err **err);
    void *impl;
};
