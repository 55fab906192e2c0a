/* SPDX-License-Identifier: AGPL-3.0-only */
#include <libvirt/libvirt.h>
#include "fleet/deploy/score.h"
