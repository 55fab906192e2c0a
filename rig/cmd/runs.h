/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Folders of runs: DIR/<UTC time>-<scenario>-<process>/, which sort by time, with history.jsonl, what
 * is made from it (junit.xml, result.tap, summary.txt), on failure evidence/, and lab/ while the lab
 * stands. The lock of a folder is held while its run lasts, so others leave it alone; what a dead run
 * left is taken back before the next one begins.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "rig/lab/heal.h"

#define RUN_HISTORY "history.jsonl"

struct run_folder {
    char *path;
    int lock_fd;
};

/* Makes an empty folder of a name that no other run has or gets; the caller frees the path. */
int run_folder_make(const char *dir, const char *scenario, char **ret_path, struct err **err);
/* Takes one that was made so for its run. */
int run_folder_take(const char *path, struct run_folder **ret, struct err **err);
/* Both. */
int run_folder_new(const char *dir, const char *scenario, struct run_folder **ret,
                   struct err **err);
/* Removes lab/ and lets go of the lock. */
void run_folder_free(struct run_folder *f);
DEFINE_CLEANUP(struct run_folder *, run_folder_free)

/* Removes the oldest finished runs beyond `keep`, but none that left a lab. What cannot be removed is
 * left. */
void run_folders_prune(const char *dir, size_t keep);

/* The names of all of them, oldest first: strv, NULL when there are none. */
char **run_folders_list(const char *dir);
/* The folder that `wanted` means: a path (of the folder or of a file in it), a name in `dir`, what a
 * name begins with, or a scenario, of which the last run is meant; NULL: the last run of all.
 * -ENOENT: there is none. The caller frees *ret. */
int run_folder_find(const char *dir, const char *wanted, char **ret, struct err **err);
/* Whether its run goes on. */
bool run_folder_lives(const char *path);

/* Takes back what dead runs in `dir` left (rig/lab/heal.h), their labs included, and tells each thing;
 * what went wrong is told, too. Fills in *ret_n with the number of things that were left. The result
 * is 0 when nothing is left now; -EBUSY otherwise. With `dry` it is only told. */
int run_folders_heal(const char *dir, bool dry, heal_told *told, void *userdata, size_t *ret_n);
