/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
    static const char text[] = "out of memory\n";

    if (p)
        return p;
    /* Not stdio, which might allocate. There is nothing left to do about a failed write. */
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        abort();
    abort();
}

void *xmalloc(size_t size)
{
    return must(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
    return must(n && size ? calloc(n, size) : calloc(1, 1));
}

void *xreallocarray(void *p, size_t n, size_t size)
{
    return must(n && size ? reallocarray(p, n, size) : realloc(p, 1));
}

char *xstrdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
    return s ? must(strndup(s, n)) : NULL;
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : text);
}

void replace_str(char **dst, const char *src)
{
    char *copy = xstrdup(src); /* first: `src` may be part of *dst */

    free(*dst);
    *dst = copy;
}

void *grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    if (n > SIZE_MAX / 2 - 8)
        must(NULL);
    *cap = n < 8 ? 8 : n * 2;
    return xreallocarray(array, *cap, size);
}
