/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What machines.c and the files of their faults and of their snapshots share. */

#include <libvirt/libvirt.h>
#include <pthread.h>

#include "rig/lab/domain_xml.h"
#include "rig/lab/machines.h"
#include "rig/lab/remote.h"
#include "rig/lab/virt.h"
#include "rig/lab/warm.h"

struct machine {
    struct machines *all;
    char *name, *domain_name, *dir, *disk, *console, *pin;
    char *arch, *image, *ssh_key;
    char **archives;
    int cpus, memory_mb, disk_gb;
    virDomainPtr domain;
    char uuid[VIR_UUID_STRING_BUFLEN]; /* "" before the first definition */
    uint64_t note;                     /* in the ledger; 0: none */
    bool wanted;
    bool ready, mourned; /* as told to who listens, since the last power-on */
    bool link_cut;       /* the cable is out, over power cycles */
    struct domain_forward *forwards;
    size_t n_forwards, cap_forwards;
    struct remote *remote;
    struct warm *warm; /* what it was restored from; borrowed; NULL: it was booted */
    double patience;   /* by which systemd in it waits longer than usual */
    bool nameless;     /* restored, and without an identity of its own so far */
    struct machine *next;
};

struct machines {
    struct supervisor *supervisor;
    char *dir, *cache_dir, *prefix, *ssh_key;
    char *accel; /* as configured or found; NULL before the first machine */
    struct virt virt;
    struct machine *first;
    struct machine_host host;
    bool ignore_casualties;
    bool cold;
    double factor; /* at least 1 */
    void (*note)(const char *line, void *userdata);
    void *userdata;
    pthread_mutex_t lock;      /* of `first` and `accel`, held for moments */
    pthread_mutex_t making;    /* of `snapshots`, held while one is made */
    struct warm *snapshots[8]; /* open ones */
    size_t n_snapshots;
};

/* NULL when there is none of that name; machine_need() makes an error of it. */
struct machine *machine_find(struct machines *m, const char *name);
int machine_need(struct machines *m, const char *name, struct machine **ret, struct err **err);

/* Sends a command of the human monitor to the running emulator. An answer that is not empty is an
 * error unless `ret_answer` takes it; the caller frees it. */
int machine_monitor(struct machine *v, const char *command, char **ret_answer, struct err **err);

/* Before a definition: gives the machine its uuid and notes it in the ledger, both only once. */
int machine_note(struct machine *v, struct err **err);
/* Its definition is gone. */
void machine_cross_out(struct machine *v);

/* After each start of the emulator: does again what a new one does not know of. */
int machine_started(struct machine *v, struct err **err);

/* --- the parts of a machine's life, machines.c --- */

/* A machine that is not among the others yet: a folder, a console, a port for SSH. */
int machine_new(struct machines *m, const struct machine_spec *spec, struct machine **ret,
                struct err **err);
void machine_free(struct machine *v);
DEFINE_CLEANUP(struct machine *, machine_free)
/* v->disk as an overlay on `base`. */
int machine_make_disk(const struct machine *v, const char *base, struct err **err);
struct domain machine_domain(const struct machine *v);
/* Tells libvirt of it, on a kernel command line that says who it is. */
int machine_define(struct machine *v, const struct domain *d, struct err **err);
/* To be called when the emulator was started. */
int machine_is_on(struct machine *v, const char *how, struct err **err);
/* A fresh disk on the image, and the power on. */
int machine_boot(struct machine *v, struct err **err);
int machine_power(struct machine *v, struct err **err);
/* In every wait for a machine. */
int machine_alive(void *userdata, struct err **err);
__attribute__((format(printf, 2, 3))) void machines_note(struct machines *m, const char *fmt, ...);

/* --- warm machines, machines_warm.c --- */

/* Switches it on from a snapshot, which is made where there is none. Any error but -ECANCELED means
 * that it is to be booted: it is left as it was. */
int machine_restore(struct machine *v, struct err **err);
/* Waits for a restored machine and gives it its identity. One that fails is switched on again from a
 * snapshot made anew; then it is booted, and waiting for that is the caller's. */
int machine_name(struct machine *v, struct err **err);
/* Closes the snapshots. The machines are gone. */
void machines_cool(struct machines *m);
