/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* How other programs are called for a fleet. Pure. */

#include "rig/cmd/fleet_state.h"

/* ssh to a device as root, with the fleet's key and the device's pinned host key, and nothing of the
 * person's own settings. `command` (strv) may be empty: a login shell; its words become one line for
 * the shell there, as ssh has it. `terminal`: a command gets one, too. An strv; the caller frees it. */
char **fleet_ssh_argv(const struct fleet_state *s, const struct fleet_device *device, bool terminal,
                      char *const *command);

/* The words of a sentence, as they were given on a command line, as one sentence: a single one is
 * taken as it is, of several those with blanks are put in quotes. The caller frees it. */
char *fleet_sentence(char *const *words);
