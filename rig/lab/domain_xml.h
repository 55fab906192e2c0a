/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* A machine as libvirt's domain XML (libvirt.org/formatdomain.html). Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct domain_forward {
    uint16_t host, guest; /* TCP; host: on 127.0.0.1 */
};

struct domain {
    const char *name;
    const char *uuid; /* the same at each definition of one machine; NULL: libvirt makes one */
    const char *arch; /* "x86_64", "aarch64" */
    bool kvm;
    int cpus, memory_mb;
    const char *kernel, *initrd, *cmdline;
    const char *disk;    /* qcow2 */
    const char *console; /* file, appended to */
    const struct domain_forward *forwards;
    size_t n_forwards;
    const char *ram; /* file that is its memory; NULL: memory of the emulator's own */
    bool ram_copied; /* what the machine writes stays its own, the file as it is */
    bool incoming;   /* starts from a saved state, which is named through the monitor */
};

/* The id of the network for monitor commands. */
#define DOMAIN_NETDEV "n0"

/* Never fails: what XML cannot express (control characters) becomes '?'. The caller frees it. */
char *domain_xml(const struct domain *d);
