/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

#include "base/check.h"
#include "base/mem.h"

static int freed;

static void count_free(int *p)
{
    freed++;
    free(p);
}
DEFINE_CLEANUP(int *, count_free)

static int *make(bool hand_over)
{
    CLEANUP(count_free) int *p = xcalloc(1, sizeof(*p)), *nothing = NULL;

    if (nothing)
        return nothing;
    return hand_over ? steal_ptr(p) : NULL;
}

TEST(what_leaves_its_scope_is_freed_unless_it_was_stolen)
{
    int *p = NULL;

    freed = 0;
    check_true(!make(false));
    check_int(freed, 1);
    p = make(true);
    check_true(p);
    check_int(freed, 1);
    free(p);
}

TEST(files_are_closed_at_the_end_of_their_scope)
{
    int fd = -1, stolen = -1;

    {
        CLEANUP_CLOSE int a = open("/dev/null", O_RDONLY | O_CLOEXEC), none = -1;
        CLEANUP_CLOSE int b = fcntl(a, F_DUPFD_CLOEXEC, 3);
        CLEANUP_FCLOSE FILE *f = fopen("/dev/null", "re"), *nothing = NULL;

        check_true(f && !nothing && none == -1);
        fd = a;
        stolen = steal_fd(&b);
        check_int(b, -1);
    }
    check_int(fcntl(fd, F_GETFD), -1);
    check_int(errno, EBADF);
    check_true(fcntl(stolen, F_GETFD) >= 0);
    check_int(close(stolen), 0);
}

CHECK_MAIN()
