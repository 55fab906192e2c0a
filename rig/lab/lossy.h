/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The disk of a server that can lose what was not synced: rig-lossyfs (rig/lossyfs/undo.h has the
 * model) between the server and a folder. It is mounted in a mount namespace that rig-lossyfs and the
 * server share and nobody else: when both are gone, whatever ended them, so is the mount.
 */

#include <stdint.h>

#include "base/err.h"
#include "rig/lab/supervisor.h"

struct lossy;

/* 0 where this host can do it. */
int lossy_possible(struct err **err);

/* Starts it as the supervisor's child "SERVICE-disk": `disk` is the folder, seen at `mountpoint`.
 * Both exist. */
int lossy_start(struct supervisor *s, const char *service, const char *disk, const char *mountpoint,
                struct lossy **ret, struct err **err);
/* Ends the child before the supervisor would. */
int lossy_stop(struct supervisor *s, const struct lossy *l, struct err **err);
/* Does not stop the child. */
void lossy_free(struct lossy *l);
DEFINE_CLEANUP(struct lossy *, lossy_free)

/* For `prepare` of a proc_spec, with a struct lossy as userdata: the child sees the mount. */
int lossy_enter(void *lossy);

struct lossy_count {
    uint64_t bytes, files; /* so many bytes, in so many files */
    uint64_t names;        /* made, changed or removed */
    uint64_t flushes;      /* since it started: everything was synced for want of memory */
};
/* "12345 bytes in 3 files and 4 names". The caller frees it. */
char *lossy_text(const struct lossy_count *count);

/* Takes back what was not synced, and counts it. The server must have ended: files that it held open
 * would answer EIO from now on. */
int lossy_drop(struct lossy *l, struct lossy_count *ret, struct err **err);
/* Syncs it all. */
int lossy_sync(struct lossy *l, struct lossy_count *ret, struct err **err);
