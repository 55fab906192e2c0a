/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The process that emulates a machine, found by its command line: libvirt gives its pid to nobody. */

#include <sys/types.h>

#include "base/err.h"

/* Of the machine with this name and uuid, as a pidfd, which stays with that process and no other.
 * -ESRCH when there is none. */
int emulator_open(const char *domain_name, const char *uuid, pid_t *ret_pid, struct err **err);
/* Kills it and waits until it has ended; there being none is success. *ret_pid (may be NULL) is 0
 * then. */
int emulator_kill(const char *domain_name, const char *uuid, pid_t *ret_pid, struct err **err);
