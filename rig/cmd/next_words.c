/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/next_words.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

static void add_once(char ***words, const char *word)
{
    if (!strv_has(*words, word))
        strv_add(words, word);
}

static bool is_literal(const char *word)
{
    return !isupper((unsigned char)*word);
}

/* What may stand at the place of pattern word `word`. */
static void add_for(char ***next, const char *word, char *const *devices)
{
    if (is_literal(word))
        add_once(next, word);
    for (; str_starts(word, "DEVICE") && devices && *devices; devices++)
        add_once(next, *devices);
}

/* Walks along one pattern. A parameter takes one word, one that may be repeated as many as there are
 * until the literal behind it. */
static void follow(char *const *pattern, char *const *given, char *const *devices, char ***next)
{
    for (; *pattern; pattern++) {
        bool many = str_ends(*pattern, "...");

        if (!*given) {
            add_for(next, *pattern, devices);
            return;
        }
        if (is_literal(*pattern) && !str_eq(*pattern, *given))
            return;
        given++;
        while (many && *given && !str_eq(*given, pattern[1]))
            given++;
        if (many && !*given)
            add_for(next, *pattern, devices);
    }
}

char **next_words(const struct verb *verbs, size_t n_verbs, unsigned kinds, char *const *given,
                  char *const *devices)
{
    char **next = NULL;

    for (size_t i = 0; i < n_verbs; i++) {
        CLEANUP_STRV char **pattern = strv_split(verbs[i].pattern, " ");

        if (verbs[i].kind & kinds)
            follow(pattern, given, devices, &next);
    }
    return next;
}
