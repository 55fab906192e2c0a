/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What a power cut would take from a folder, and taking it.
 *
 * Theory of operation: the folder always holds the newest state, so whatever reads it needs nothing of
 * ours. Kept here is how to get back to what a disk would hold: before a byte that the disk has is
 * overwritten or cut off, its page is copied; each change of a name is journalled with its undo, and
 * a file that loses its last name waits in a grave until the disk would have forgotten it, too. A sync
 * forgets the undo, a drop carries it out. What is merely appended costs nothing but a number.
 *
 * The model is that of a file system with one ordered journal and delayed allocation, at the worst
 * moment that it allows (XFS; ext4 with data=ordered,noauto_da_alloc, whose timers did not fire):
 *
 *   data      what was written to a file is lost until fsync, fdatasync or a write with O_SYNC or
 *             O_DSYNC of this file; then all of its data so far is safe.
 *   names     create, mkdir, symlink, rename, unlink and rmdir are journalled in order. Any such sync, of
 *             whatever file or folder, commits all names so far: none is lost, and none before it.
 *   cutting   truncation is journalled with the names. So a file that was cut and rewritten, but not
 *             synced, is empty once another file was synced in between, and the old one otherwise.
 *   rename    over an existing file does not write the new one's data: without a sync before it the
 *             name holds an empty file, or the old one while nothing was committed.
 *   the rest  owner, mode and times are not taken back.
 *
 * The alternative, where every folder needs an fsync of its own for its names, loses what no file
 * system in use on servers loses; LazyFS in turn loses data only and never a name.
 *
 * Memory: copies of pages and journal are limited; beyond that everything is synced, as a kernel does
 * that has too much dirty memory. It is counted, so that nobody takes it for durability.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Where files wait that lost their names: hidden from users of the folder. */
#define UNDO_GRAVES ".lossyfs"

struct undo;

struct undo_loss {
    uint64_t bytes;   /* written beyond what the disk has, or different from it */
    uint64_t files;   /* that these are in */
    uint64_t names;   /* changes of names */
    uint64_t flushes; /* since the beginning: syncs for want of memory */
};

/* `root` is the folder, borrowed. `limit`: bytes of memory. What an earlier run left in graves goes. */
int undo_new(int root, size_t limit, struct undo **ret, struct err **err);
/* Nothing is taken back. */
void undo_free(struct undo *u);
DEFINE_CLEANUP(struct undo *, undo_free)

/* Before the change; `fd` is open for reading and writing. A negative return forbids the change. */
int undo_before_write(struct undo *u, int fd, off_t offset, size_t len, struct err **err);
int undo_before_truncate(struct undo *u, int fd, off_t size, struct err **err);

/* These do it, too. Paths are relative to the root. */
int undo_create(struct undo *u, const char *path, mode_t mode, int *ret_fd, struct err **err);
int undo_mkdir(struct undo *u, const char *path, mode_t mode, struct err **err);
int undo_symlink(struct undo *u, const char *target, const char *path, struct err **err);
int undo_unlink(struct undo *u, const char *path, struct err **err);
int undo_rmdir(struct undo *u, const char *path, struct err **err);
/* `flags` as of renameat2(2): 0, RENAME_NOREPLACE or RENAME_EXCHANGE. */
int undo_rename(struct undo *u, const char *from, const char *to, unsigned flags, struct err **err);

/* The data of this file, and all names. */
int undo_sync_file(struct undo *u, int fd, struct err **err);
int undo_sync_names(struct undo *u, struct err **err);
int undo_sync(struct undo *u, struct err **err);

/* What a drop would lose now. */
int undo_unsynced(struct undo *u, struct undo_loss *ret, struct err **err);
/* Takes everything back that was not synced. After an error the folder is of no use any more. */
int undo_drop(struct undo *u, struct undo_loss *ret, struct err **err);
