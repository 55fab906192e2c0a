/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Where things are: found from the running program and the environment. */

#include "base/cleanup.h"
#include "base/err.h"

struct place {
    char *root;     /* the checkout, with images/ and scenarios/: $FLEETRIG_ROOT, else where
                     * ROOT/build/VARIANT/bin/rig was started from */
    char *programs; /* the folder of this program and its fellows */
    char *cache;    /* $XDG_CACHE_HOME/fleetrig */
    char *settings; /* $XDG_CONFIG_HOME/fleetrig/rig.yml */
};

int place_new(struct place **ret, struct err **err);
void place_free(struct place *p);
DEFINE_CLEANUP(struct place *, place_free)
