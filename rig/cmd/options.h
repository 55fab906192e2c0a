/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What options of several commands mean. */

#include <stdio.h>

#include "base/verbs.h"
#include "rig/cmd/place.h"
#include "rig/cmd/settings.h"
#include "rig/lab/lab.h"

/* The settings file, overridden by those of the options arch, libvirt, accel and cold that the command
 * has; it has config. */
int options_settings(const struct verbs_args *args, const struct place *place,
                     struct settings **ret, struct err **err);
/* A lab as the settings have it; the caller adds what is to be in it, and who is told. Borrows. */
struct lab_config options_lab(const struct place *place, const struct settings *settings);
/* Columns of the terminal for progress_new(); 0 when `out` is none. */
int options_width(FILE *out);
/* Where the folders of runs are: the option report-dir, or the cache's. Absolute; the caller frees it. */
char *options_runs_dir(const struct verbs_args *args, const struct place *place);
