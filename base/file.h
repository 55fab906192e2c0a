/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Whole files and folders. Errors name the path. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* At most `max` bytes, NUL-terminated; a larger file is an error (EFBIG). `ret_len` may be NULL.
 * The caller frees *ret. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err **err);
/* The same from an open file, from where it stands; `name` is used in errors. */
int file_read_fd(int fd, const char *name, size_t max, char **ret, size_t *ret_len,
                 struct err **err);
/* Durable replacement: written to a temporary name beside it, synced, renamed, folder synced.
 * After a crash the path holds the old or the new bytes, never a mixture. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err **err);
/* Plain write without syncing, for what may be lost. */
int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err **err);
/* mkdir -p. */
int dir_make(const char *path, mode_t mode, struct err **err);
/* rm -rf; an absent path is success. Never follows symbolic links, never leaves the file system. */
int dir_remove(const char *path, struct err **err);
bool file_exists(const char *path);
