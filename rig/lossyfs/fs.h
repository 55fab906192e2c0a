/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The file system that users of a lossy folder see: everything is passed through to the folder, and
 * what changes it goes through undo.h, where the model stands. One thread, one request at a time.
 *
 * Nothing is cached by name or attribute, and the pages of a file are read afresh when it is opened, so
 * that after a drop nobody sees what is gone. Files that were open across a drop answer EIO: whoever
 * held them would not have survived the power cut either. Files can be mapped, for reading and for
 * writing; a mapped page reaches the disk's model when the kernel writes it (msync, munmap, exit).
 *
 * Refused: hard links, devices and FIFOs (EPERM), extended attributes, shifting ranges (EOPNOTSUPP).
 * syncfs(2) and sync(2) do not get here.
 */

#include "base/err.h"
#include "rig/lossyfs/undo.h"

struct fs;

/* `dir` is the folder; the file system appears at `mountpoint`, an absolute path. */
int fs_mount(const char *dir, const char *mountpoint, size_t limit, struct fs **ret,
             struct err **err);
/* Syncs and unmounts. */
void fs_free(struct fs *fs);
DEFINE_CLEANUP(struct fs *, fs_free)

/* Poll it for reading, then call fs_serve(): answers one request; -ENODEV once it was unmounted by
 * somebody else. */
int fs_fd(const struct fs *fs);
int fs_serve(struct fs *fs, struct err **err);

int fs_sync(struct fs *fs, struct undo_loss *ret, struct err **err);
int fs_unsynced(struct fs *fs, struct undo_loss *ret, struct err **err);
int fs_drop(struct fs *fs, struct undo_loss *ret, struct err **err);
