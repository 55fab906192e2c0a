/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A libvirtd of our own, as root (also the root of a user namespace), for hosts without one.
 *
 * Several may run side by side on a host: each sees folders of its own where a libvirtd of root has
 * its state compiled in (/run/libvirt, /var/lib/libvirt, /var/log/libvirt, /etc/libvirt), by bind
 * mounts in a mount namespace that it does not share. /var/cache/libvirt is kept from run to run,
 * since asking the emulators what they can do takes 10 s.
 *
 * It outlives the rig on purpose. When the rig is killed, its connection closes, the daemon destroys
 * the machines that were started with AUTODESTROY, and ends by itself after LIBVIRTD_IDLE_S without
 * clients. One that died with the rig would leave the machines running.
 */

#include "rig/lab/supervisor.h"

#define LIBVIRTD "libvirtd" /* the child's name */
#define LIBVIRTD_IDLE_S 5

/* Starts it; it answers a moment later at *ret_uri, which the caller frees. `dir` must be short of
 * nothing: the socket is reached by way of /proc, so that no path is too long for one. */
int libvirtd_start(struct supervisor *s, const char *dir, const char *cache_dir, char **ret_uri,
                   struct err **err);
