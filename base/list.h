/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Doubly linked lists through links inside the things that are listed: a thing joins as many lists
 * as it has links, without allocation, and leaves one without knowing which it is. A zeroed link is
 * in no list; a list starts with list_init().
 *
 *     struct thing { int n; struct list_link in_queue; };
 *     list_add(&queue, &thing->in_queue);
 *     LIST_EACH(link, &queue)
 *         use(LIST_ITEM(link, struct thing, in_queue));
 */

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link head;
};

#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

/* The body may take the current item out of the list, but no other. */
#define LIST_EACH(link, list)                                                                      \
    for (struct list_link *link = (list)->head.next, *link##_next = link->next;                    \
         link != &(list)->head; link = link##_next, link##_next = link->next)

static inline void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
}

static inline bool list_linked(const struct list_link *link)
{
    return link->next != NULL;
}

static inline bool list_empty(const struct list *l)
{
    return l->head.next == &l->head;
}

/* NULL when empty. */
static inline struct list_link *list_first(const struct list *l)
{
    return list_empty(l) ? NULL : l->head.next;
}

static inline struct list_link *list_last(const struct list *l)
{
    return list_empty(l) ? NULL : l->head.prev;
}

/* Puts `link`, which is in no list, behind `place`. */
static inline void list_insert(struct list_link *place, struct list_link *link)
{
    link->prev = place;
    link->next = place->next;
    place->next->prev = link;
    place->next = link;
}

/* Appends; what is in a list already stays there. */
static inline void list_add(struct list *l, struct list_link *link)
{
    if (!list_linked(link))
        list_insert(l->head.prev, link);
}

/* What is in no list is left alone. */
static inline void list_remove(struct list_link *link)
{
    if (!list_linked(link))
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}
