/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Whether KVM really works here. /dev/kvm may be there and the emulator list kvm, and yet a stock
 * kernel does not come up under it (nested or software virtualisation). So the device image's own
 * kernel is booted once with the image's initrd and no root file system: when its first process
 * has run and ended, which the kernel says on the console, KVM works. The answer is kept in
 * `cache_dir` per kernel of this host, processor, emulator and kernel of the image.
 */

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

/* `image` is the folder of a device image of this host's architecture. *ret_why says in a few words
 * what was found; the caller frees it. Fails only when interrupted. */
int kvm_works(const char *image, const char *cache_dir,
              int (*interrupted)(void *userdata, struct err **err), void *userdata, bool *ret,
              char **ret_why, struct err **err);
