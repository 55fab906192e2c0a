/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Virtual machines through libvirt's C API. The host's qemu:///system or session daemon is used
 * where one answers and its QEMU is new enough (8.0; older TCG panics the device kernel); else a private libvirtd is started as a child of the
 * supervisor and stopped with it. Domains are started with AUTODESTROY, so that a killed rig leaves
 * none running; a definition left over with one of our names is destroyed, undefined and made anew.
 * Every wait ends with -ECANCELED when the supervisor's stop flag is set, and with the last words of
 * a component that died meanwhile.
 *
 * Disks are overlays on the device image. Networking is the emulator's user networking with ports
 * forwarded from this host's loopback. KVM is used only when a boot probe proved it on this host
 * (the answer is cached per kernel, emulator and image). The serial console goes to a file.
 */

#include "fleet/deploy/capability.h"
#include "rig/lab/supervisor.h"

struct machines;

struct machines_config {
    const char *dir;       /* of the run: machines/NAME/{disk.qcow2,console.log,hostkey} */
    const char *cache_dir; /* for the KVM answer */
    const char *prefix;    /* domain names are PREFIX-NAME; says whose they are */
    const char *uri;       /* a libvirt URI to use, or NULL for the choice above */
    const char *ssh_key;   /* path of the private key */
    const char *accel;     /* "kvm", "tcg", or NULL: probe */
    bool cold;             /* boot each machine; else it is restored from a snapshot (ADR 0009) */
    /* What people should know: a snapshot is made, or why there is none. NULL: nobody listens. */
    void (*note)(const char *line, void *userdata);
    void *userdata;
};

int machines_new(struct supervisor *s, const struct machines_config *config, struct machines **ret,
                 struct err **err);
/* Destroys and undefines all of them, removes their disks, and ends the private daemon. */
void machines_free(struct machines *m);
DEFINE_CLEANUP(struct machines *, machines_free)

/* The capability. Owned. */
const struct machine_host *machines_host(struct machines *m);
/* Finds out what a machine of this kind is to run on: *ret is "kvm" or "tcg". `image` is the folder of
 * its device image. */
int machines_choose_accel(struct machines *m, const char *arch, const char *image, const char **ret,
                          struct err **err);
/* How slow machines are here (rig/lab/calibrate.h): what systemd in them waits for is scaled. */
void machines_scale(struct machines *m, double factor);
/* "kvm" or "tcg" as used by the first machine, "" before; "qemu:///system" or the private daemon's.
 * For reports. */
const char *machines_accel(const struct machines *m);
const char *machines_uri(const struct machines *m);
/* 0 while every machine that should run does; else which one ended, and its console's last line. */
int machines_check(struct machines *m, struct err **err);

/* From now on waits for a machine go on although something else died: for gathering evidence. */
void machines_ignore_casualties(struct machines *m);

/* Power: a cut is hard (virDomainDestroy): nothing is flushed. Idempotent. */
int machine_power_cut(struct machines *m, const char *name, struct err **err);
int machine_power_on(struct machines *m, const char *name, struct err **err);
bool machine_powered(struct machines *m, const char *name);

/* A port of this host's loopback that leads to TCP `guest_port` of the machine; made on first use,
 * kept over power cycles. */
int machine_forward(struct machines *m, const char *name, uint16_t guest_port, uint16_t *ret_port,
                    struct err **err);
/* Path of the serial console's log. Owned; NULL for an unknown name. */
const char *machine_console(struct machines *m, const char *name);
/* Where libvirt logs what the emulator says; NULL for an unknown name. The caller frees it. */
char *machine_emulator_log(struct machines *m, const char *name);
/* Host key fingerprint as pinned, NULL before the first login. Owned. */
const char *machine_fingerprint(struct machines *m, const char *name);
