/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Ownership by scope. `CLEANUP(thing_free) struct thing *t = NULL;` frees t when it goes out of
 * scope; `return steal_ptr(t)` hands it over. DEFINE_CLEANUP(struct thing *, thing_free) makes a
 * destructor usable so; destructors accept NULL.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(cleanup_##fn)))

#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline __attribute__((unused)) void cleanup_##fn(type *p)                               \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }

#define steal_ptr(p)                                                                               \
    ({                                                                                             \
        __typeof__(p) stolen_ = (p);                                                               \
        (p) = NULL;                                                                                \
        stolen_;                                                                                   \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* `CLEANUP_FREE char *text = NULL;`  `CLEANUP_CLOSE int fd = -1;`  `CLEANUP_FCLOSE FILE *f = NULL;` */
#define CLEANUP_FREE __attribute__((cleanup(cleanup_freep)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_closep)))
#define CLEANUP_FCLOSE __attribute__((cleanup(cleanup_fclosep)))
