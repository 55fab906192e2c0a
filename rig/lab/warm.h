/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The cache of warm machines: CACHE/warm/DIGEST/ holds what a booted machine without an identity of
 * its own is restored from. The digest says what it was made of: emulator, hardware, image, container
 * archives. The files:
 *
 *   ram         memory, mapped by every machine that is restored, written by none
 *   state       everything else of the machine (QEMU's migration stream)
 *   disk.qcow2  overlay on the image; backing file of every restored machine's overlay
 *   key         private SSH key that root may log in with
 *   meta.json   nonce, host key, and size, time and digest of each of the files
 *   in-use      locked (shared) by every rig whose machines stand on it
 *
 * A folder of that name is whole: it is made under a lock beside its place and renamed when all of it
 * is on the disk. What a killed rig left half made is removed by the next one that makes something.
 * Nothing of it is trusted unseen: a file with another size, or with other bytes behind another time,
 * makes the snapshot a damaged one, which is removed. At most WARM_KEEP stay, the least recently used
 * go first, none in use.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WARM_KEEP 2
#define WARM_META_MAX 65536

struct warm_shape {
    const char *hardware;        /* in words of the emulator, without names and paths */
    unsigned long emulator;      /* its version */
    const char *image;           /* folder of a device image */
    const char *const *archives; /* container archives, NULL-terminated; NULL: none */
};

/* The caller frees *ret. */
int warm_digest(const struct warm_shape *shape, char **ret, struct err **err);

/* An open snapshot, or one that is being made. Strings are owned by it. */
struct warm {
    char *dir, *ram, *state, *disk, *key; /* absolute */
    char *nonce;                          /* 64 hexadecimal digits */
    char *host_key;                       /* "SHA256:..." */

    char *root, *digest; /* private from here */
    int lock;
    bool draft;
    bool bad; /* for its user: it failed a check */
};

/* -ENOENT: there is none. What was found damaged is removed; *ret_damage (the caller frees it) says
 * what it was, else it is untouched. */
int warm_open(const char *cache_dir, const char *digest, struct warm **ret, char **ret_damage,
              struct err **err);
/* Begins to make one: waits until no other rig makes one, then gives an empty folder with a nonce.
 * -EEXIST when another rig has made just this one meanwhile; -ENOSPC when it would not fit, where
 * `bytes` is what it may take. `waiting` (may be NULL) is told once when it has to wait. */
int warm_begin(const char *cache_dir, const char *digest, int64_t bytes,
               int (*interrupted)(void *userdata, struct err **err),
               void (*waiting)(void *userdata), void *userdata, struct warm **ret,
               struct err **err);
/* All files and host_key are there: makes it durable and gives it its name. It stays open, as one
 * that was found. */
int warm_finish(struct warm *w, struct err **err);
/* It failed a check: it goes, unless another rig's machines stand on it: then -EBUSY. Close it in any
 * case. */
int warm_discard(struct warm *w, struct err **err);
/* Removes the folder of a draft. */
void warm_close(struct warm *w);
DEFINE_CLEANUP(struct warm *, warm_close)

/* What meta.json says. For tests and the fuzzer. */
struct warm_meta {
    char nonce[65], host_key[64];
    struct warm_file {
        char name[32];
        int64_t size, mtime_ns;
        char sum[65];
    } files[8];
    size_t n_files;
};
int warm_meta_parse(const char *name, const char *text, size_t len, struct warm_meta *ret,
                    struct err **err);
