/* SPDX-License-Identifier: AGPL-3.0-only */
#include <libvirt/libvirt.h>
#  include <libssh/libssh.h>
#include "rig/verbs/power.h"
