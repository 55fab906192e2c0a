/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/footprint.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

/* A mapping as its first line in /proc/self/smaps shows it. */
struct mapping {
    unsigned long start, end;
    char rights[8];
    char path[8]; /* only whether there is one */
};

/* Not writable, of a file, and without a page of our own: nothing in it can be lost. Relocated tables
 * are not writable either, but hold such pages. */
static void drop(const struct mapping *m, unsigned long anonymous_kb)
{
    if (anonymous_kb == 0 && m->path[0] == '/' && m->rights[1] == '-')
        madvise((void *)m->start, m->end - m->start, MADV_DONTNEED);
}

void footprint_trim(void)
{
    CLEANUP_FCLOSE FILE *f = fopen("/proc/self/smaps", "re");
    struct mapping m = { 0 };
    unsigned long anonymous;
    char line[512];

    malloc_trim(0);
    while (f && fgets(line, sizeof(line), f)) {
        struct mapping next = { 0 };

        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %7s", &next.start, &next.end, next.rights,
                   next.path) >= 3)
            m = next;
        else if (sscanf(line, "Anonymous: %lu kB", &anonymous) == 1)
            drop(&m, anonymous);
    }
}
