/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/mem.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

TEST(nothing_can_be_allocated_and_freed)
{
    void *a = xmalloc(0), *b = xcalloc(0, 8), *c = xreallocarray(NULL, 0, 8);

    check_true(a && b && c);
    free(a);
    free(b);
    free(c);
}

TEST(copies_of_null_are_null)
{
    check_str(xstrdup(NULL), NULL);
    check_str(xstrndup(NULL, 3), NULL);
}

TEST(a_string_is_replaced_also_by_a_part_of_itself)
{
    CLEANUP_FREE char *s = xstrdup("hello");

    replace_str(&s, s + 2);
    check_str(s, "llo");
    replace_str(&s, NULL);
    check_str(s, NULL);
}

TEST(an_array_grows_and_keeps_its_elements)
{
    CLEANUP_FREE int *v = NULL;
    size_t cap = 0;
    int wrong = 0;

    for (size_t n = 0; n < 1000; n++) {
        v = grow(v, n, &cap, sizeof(*v));
        v[n] = (int)n;
    }
    for (int i = 0; i < 1000; i++)
        wrong += v[i] != i;
    check_int(wrong, 0);
    check_true(cap >= 1000);
}

TEST(an_overflowing_size_aborts)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        close(STDERR_FILENO);
        free(xreallocarray(NULL, SIZE_MAX / 2, 4));
        _exit(0);
    }
    need_true(waitpid(pid, &status, 0) == pid);
    check_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

CHECK_MAIN()
