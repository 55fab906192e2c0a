/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS_MIN 16 /* a power of two, as the number of slots always is */

/* FNV-1a. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
    return hash ^ hash >> 32;
}

/* Where the entry hangs, or where a new one would. */
static struct map_entry **place_of(const struct map *m, const char *key, uint64_t hash)
{
    struct map_entry **at = &m->slots[hash & (m->n_slots - 1)];

    while (*at && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->chain;
    return at;
}

static void resize(struct map *m, size_t n_slots)
{
    free(m->slots);
    m->slots = xcalloc(n_slots, sizeof(*m->slots));
    m->n_slots = n_slots;
    for (struct map_entry *e = m->first; e; e = e->next) {
        struct map_entry **slot = &m->slots[e->hash & (n_slots - 1)];

        e->chain = *slot;
        *slot = e;
    }
}

void *map_get(const struct map *m, const char *key)
{
    struct map_entry *e = m->n ? *place_of(m, key, hash_of(key)) : NULL;

    return e ? e->value : NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
    uint64_t hash = hash_of(key);
    struct map_entry **at, *e;
    size_t len = strlen(key) + 1;

    if (m->n >= m->n_slots)
        resize(m, m->n_slots ? m->n_slots * 2 : SLOTS_MIN);
    at = place_of(m, key, hash);
    if (*at) {
        void *old = (*at)->value;

        (*at)->value = value;
        return old;
    }
    e = xmalloc(sizeof(*e) + len);
    *e = (struct map_entry){ .value = value, .prev = m->last, .hash = hash };
    memcpy(e->key, key, len);
    if (m->last)
        m->last->next = e;
    else
        m->first = e;
    m->last = e;
    m->n++;
    *at = e;
    return NULL;
}

void *map_remove(struct map *m, const char *key)
{
    struct map_entry **at, *e;
    void *value;

    if (!m->n)
        return NULL;
    at = place_of(m, key, hash_of(key));
    e = *at;
    if (!e)
        return NULL;
    *at = e->chain;
    if (e->prev)
        e->prev->next = e->next;
    else
        m->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        m->last = e->prev;
    m->n--;
    value = e->value;
    free(e);
    return value;
}

void map_done(struct map *m)
{
    for (struct map_entry *e = m->first, *next; e; e = next) {
        next = e->next;
        free(e);
    }
    free(m->slots);
    *m = (struct map){ 0 };
}
