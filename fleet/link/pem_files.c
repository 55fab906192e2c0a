/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/pem_files.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/strv.h"

struct pem_file {
    char *pem;
    int fd;
    SLIST_ENTRY(pem_file) next;
};

void pem_files_init(struct pem_files *files)
{
    SLIST_INIT(files);
}

void pem_files_done(struct pem_files *files)
{
    struct pem_file *f;

    while ((f = SLIST_FIRST(files))) {
        SLIST_REMOVE_HEAD(files, next);
        close(f->fd);
        explicit_bzero(f->pem, strlen(f->pem));
        free(f->pem);
        free(f);
    }
}

static struct pem_file *find(struct pem_files *files, const char *pem)
{
    for (struct pem_file *f = SLIST_FIRST(files); f; f = SLIST_NEXT(f, next))
        if (str_eq(f->pem, pem))
            return f;
    return NULL;
}

int pem_files_path(struct pem_files *files, const char *pem, char path[static PEM_PATH_MAX],
                   struct err **err)
{
    struct pem_file *f = find(files, pem);

    if (!f) {
        CLEANUP_CLOSE int fd = memfd_create("pem", MFD_CLOEXEC);

        if (fd < 0 || write(fd, pem, strlen(pem)) != (ssize_t)strlen(pem))
            return err_errno(err, errno, "putting a certificate into a memory file");
        f = xmalloc(sizeof(*f));
        f->pem = xstrdup(pem);
        f->fd = steal_fd(&fd);
        SLIST_INSERT_HEAD(files, f, next);
    }
    snprintf(path, PEM_PATH_MAX, "/proc/self/fd/%d", f->fd);
    return 0;
}
