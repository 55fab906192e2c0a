/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* NULL-terminated vectors of owned strings, as execve() takes them. A NULL vector is empty. */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* A vector of literals, borrowed, that lives as long as the block: `ARGV("systemctl", "start", unit)`. */
#define ARGV(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })

size_t strv_len(char *const *v);
/* Appends a copy. */
void strv_add(char ***v, const char *s);
void strv_addf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strv_has(char *const *v, const char *s);
char **strv_copy(char *const *v);
/* Splits at any of `seps`; empty pieces are dropped. */
char **strv_split(const char *s, const char *seps);
char *strv_join(char *const *v, const char *sep);
void strv_sort(char **v);

void strv_free(char **v);
DEFINE_CLEANUP(char **, strv_free)
#define CLEANUP_STRV CLEANUP(strv_free)

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* NULL-safe equality: two NULLs are equal. */
bool str_eq(const char *a, const char *b);
/* The nearest of `candidates` by edit distance, when it is near enough for "did you mean"; else
 * NULL. */
const char *str_nearest(const char *s, char *const *candidates);
