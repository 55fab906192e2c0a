/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Configuration of a host over SSH. Used through remote_device_host(). */

#include "fleet/deploy/capability.h"
#include "rig/lab/remote.h"

void remote_host_init(struct remote *remote, struct device_host *ret);

/* `arg` as one word of a POSIX shell. The caller frees it. */
char *remote_quote(const char *arg);
