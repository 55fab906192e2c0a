/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The HTML page of a run: its history, with the texts of RUN/evidence. */

#include "rig/run/history.h"

#define RUN_PAGE "report.html"

/* Writes it to `path`, wholly or not at all. `folder` is the run's; `secrets` (strv, may be NULL) are
 * hidden wherever they stand. */
int run_page_write(const char *folder, const struct history *history, char *const *secrets,
                   const char *path, struct err **err);
