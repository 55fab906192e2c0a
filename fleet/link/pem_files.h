/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Certificates and keys that are held in memory, for libraries that take them by path only (the
 * GnuTLS flavour of libcurl). Each text gets one memory file, named as /proc/self/fd/N, for as long
 * as the set lives: libcurl reuses a connection only for the same paths.
 */

#include <sys/queue.h>

#include "base/err.h"

struct pem_file;
SLIST_HEAD(pem_files, pem_file);

#define PEM_PATH_MAX 32

void pem_files_init(struct pem_files *files);
void pem_files_done(struct pem_files *files);
#define CLEANUP_PEM_FILES __attribute__((cleanup(pem_files_done)))

int pem_files_path(struct pem_files *files, const char *pem, char path[static PEM_PATH_MAX],
                   struct err **err);
