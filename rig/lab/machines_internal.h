/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What machines.c and the files of their faults and of their snapshots share. */

#include <libvirt/libvirt.h>

#include "rig/lab/domain_xml.h"
#include "rig/lab/machines.h"
#include "rig/lab/remote.h"
#include "rig/lab/virt.h"

struct machine {
    struct machines *all;
    char *name, *domain_name, *dir, *disk, *console, *pin;
    char *arch, *image, *ssh_key;
    int cpus, memory_mb;
    virDomainPtr domain;
    char uuid[VIR_UUID_STRING_BUFLEN]; /* "" before the first definition */
    uint64_t note;                     /* in the ledger; 0: none */
    bool wanted;
    bool ready, mourned; /* as told to who listens, since the last power-on */
    bool link_cut;       /* the cable is out, over power cycles */
    struct domain_forward *forwards;
    size_t n_forwards, cap_forwards;
    struct remote *remote;
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
