/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A hash table from strings to pointers. Keys are copied, values are the caller's. Entries keep the
 * order in which they were put, so a walk is the same on every run. A zeroed map is empty.
 */

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    void *value;
    struct map_entry *prev, *next; /* in the order of putting */
    /* private */
    struct map_entry *chain;
    uint64_t hash;
    char key[];
};

struct map {
    size_t n;
    struct map_entry *first, *last;
    /* private */
    struct map_entry **slots;
    size_t n_slots;
};

/* NULL when absent. */
void *map_get(const struct map *m, const char *key);
/* Returns the value that was there before, or NULL. */
void *map_put(struct map *m, const char *key, void *value);
/* Returns the value that was taken out, or NULL. */
void *map_remove(struct map *m, const char *key);
/* Frees the table; the values are the caller's to free before. */
void map_done(struct map *m);

/* The body may remove the current entry, and put or remove others, but not the next one. */
#define MAP_EACH(entry, map)                                                                       \
    for (struct map_entry *entry = (map)->first, *entry##_next = entry ? entry->next : NULL;       \
         entry; entry = entry##_next, entry##_next = entry ? entry->next : NULL)
