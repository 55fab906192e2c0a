/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/strv.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

size_t strv_len(char *const *v)
{
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

/* Appends `owned` itself. */
static void append(char ***v, char *owned)
{
    size_t n = strv_len(*v);

    *v = xreallocarray(*v, n + 2, sizeof(char *));
    (*v)[n] = owned;
    (*v)[n + 1] = NULL;
}

void strv_add(char ***v, const char *s)
{
    append(v, xstrdup(s));
}

void strv_addf(char ***v, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    append(v, text);
}

bool strv_has(char *const *v, const char *s)
{
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

char **strv_copy(char *const *v)
{
    char **copy = xcalloc(strv_len(v) + 1, sizeof(char *));

    for (size_t i = 0; v && v[i]; i++)
        copy[i] = xstrdup(v[i]);
    return copy;
}

char **strv_split(const char *s, const char *seps)
{
    char **v = xcalloc(1, sizeof(char *));

    while (*(s += strspn(s, seps))) {
        size_t n = strcspn(s, seps);

        append(&v, xstrndup(s, n));
        s += n;
    }
    return v;
}

char *strv_join(char *const *v, const char *sep)
{
    size_t gap = strlen(sep), size = 1;
    char *text = NULL, *end = NULL;

    for (size_t i = 0; v && v[i]; i++)
        size += (i ? gap : 0) + strlen(v[i]);
    end = text = xmalloc(size);
    for (size_t i = 0; v && v[i]; i++) {
        if (i)
            end = mempcpy(end, sep, gap);
        end = mempcpy(end, v[i], strlen(v[i]));
    }
    *end = '\0';
    return text;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **v)
{
    if (v)
        qsort(v, strv_len(v), sizeof(*v), compare);
}

void strv_free(char **v)
{
    for (size_t i = 0; v && v[i]; i++)
        free(v[i]);
    free(v);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}

bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

#define NEAREST_MAX 64

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein (optimal string alignment), ignoring case: a swap of neighbours is one typing
 * mistake, not two. Both strings are shorter than NEAREST_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_MAX];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t n = strlen(a), m = strlen(b);

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *oldest = before;

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            now[j] = min_of(min_of(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                now[j] = min_of(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[m];
}

const char *str_nearest(const char *s, char *const *candidates)
{
    const char *best = NULL;
    size_t n = strlen(s);
    size_t best_distance = n < 3 ? 2 : min_of(n / 3, 3) + 1; /* one too far */

    if (n >= NEAREST_MAX)
        return NULL;
    for (; candidates && *candidates; candidates++) {
        size_t m = strlen(*candidates), d;

        if (m >= NEAREST_MAX)
            continue;
        d = distance(s, *candidates);
        /* Not when every letter would have to change. */
        if (d < best_distance && d < m) {
            best = *candidates;
            best_distance = d;
        }
    }
    return best;
}
