/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Allocation that aborts when memory runs out: a daemon that is restarted by its supervisor is
 * safer than one that limps. The caller frees with free(). */

#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* Aborts also when n * size overflows. */
void *xreallocarray(void *p, size_t n, size_t size);
/* NULL in, NULL out. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Frees *dst and stores a copy of `src` (or NULL) there. */
void replace_str(char **dst, const char *src);

/* Makes room for one more element behind `n` used ones; `*cap` is the capacity. */
void *grow(void *array, size_t n, size_t *cap, size_t size);
