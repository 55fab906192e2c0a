/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The connection to libvirt: the host's daemon where it serves our purpose, else a private one.
 *
 * The host's qemu:///system serves when it answers, its QEMU is 8.0 or newer (the emulation of older
 * ones panics the device kernel), and its QEMU, which runs as a user of its own, can get at our
 * folders: not where they lie in a home that is closed to others. Then people see the machines in
 * `virsh list`. Next comes the session daemon of the person who runs this, when it runs. Without
 * either, root (also of a user namespace) gets the private daemon, and an ordinary user
 * qemu:///session, which libvirt starts when asked.
 */

#include <libvirt/libvirt.h>

#include "base/err.h"
#include "rig/lab/supervisor.h"

DEFINE_CLEANUP(virConnectPtr, virConnectClose)
DEFINE_CLEANUP(virDomainPtr, virDomainFree)

struct virt {
    virConnectPtr connection;
    char *uri;
    bool private; /* the daemon is our child */
};

/* `uri`: one to use, "private", or NULL for the choice above. `dir` is where a private daemon keeps
 * its state, `cache_dir` where it keeps what it found out about the emulators. */
int virt_open(struct supervisor *s, const char *uri, const char *dir, const char *cache_dir,
              struct virt *ret, struct err **err);
/* What virt_open() would use and, in a few words, why; a private daemon is not started: `private` is
 * set then, and there is no connection. The caller frees *ret_why, and *ret with virt_close(). */
int virt_choose(const char *uri, const char *dir, const char *cache_dir, struct virt *ret,
                char **ret_why, struct err **err);
/* Closes the connection and ends a private daemon. Domains are the caller's. */
void virt_close(struct supervisor *s, struct virt *v); /* `s` may be NULL for a chosen one */

/* Machines of the rig's own runs are PREFIX<process id>-NAME. */
#define VIRT_PREFIX "fleetrig-"
/* Forgets the definitions that dead runs left: those of processes that are no more. Machines that
 * are powered on are left alone. */
void virt_sweep(virConnectPtr connection);

/* Keeps libvirt from printing its errors. */
void virt_quiet(void);
/* Makes an error out of what libvirt said last. */
int virt_error(struct err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
