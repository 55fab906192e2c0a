/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/map.h"

#include <stdio.h>

#include "base/check.h"
#include "base/list.h"

static int values[10000];

static const char *key_of(int i)
{
    static char key[32];

    snprintf(key, sizeof(key), "edge-%d.hello", i);
    return key;
}

TEST(what_was_put_is_found_replaced_and_removed)
{
    struct map m = { 0 };

    check_true(map_get(&m, "a") == NULL);
    check_true(map_remove(&m, "a") == NULL);
    check_true(map_put(&m, "a", &values[0]) == NULL);
    check_true(map_put(&m, "a", &values[1]) == &values[0]);
    check_int((int64_t)m.n, 1);
    check_true(map_get(&m, "a") == &values[1]);
    check_true(map_get(&m, "b") == NULL);
    check_true(map_remove(&m, "a") == &values[1]);
    check_int((int64_t)m.n, 0);
    map_done(&m);
}

TEST(thousands_are_walked_in_the_order_of_putting)
{
    struct map m = { 0 };
    bool found = true, ordered = true;
    int i = 1;

    for (int k = 0; k < 10000; k++)
        map_put(&m, key_of(k), &values[k]);
    for (int k = 0; k < 10000; k++)
        found = found && map_get(&m, key_of(k)) == &values[k];
    check_true(found);
    for (int k = 0; k < 10000; k += 2)
        found = found && map_remove(&m, key_of(k)) == &values[k];
    check_true(found);
    check_int((int64_t)m.n, 5000);
    MAP_EACH(e, &m)
    {
        ordered = ordered && e->value == &values[i];
        i += 2;
    }
    check_true(ordered);
    check_int(i, 10001);
    map_done(&m);
}

TEST(a_walk_may_remove_where_it_stands)
{
    struct map m = { 0 };
    int seen = 0;

    for (int k = 0; k < 100; k++)
        map_put(&m, key_of(k), &values[k]);
    MAP_EACH(e, &m)
    {
        seen++;
        map_remove(&m, e->key);
    }
    check_int(seen, 100);
    check_int((int64_t)m.n, 0);
    check_true(m.first == NULL && m.last == NULL);
    map_done(&m);
}

struct item {
    int n;
    struct list_link link;
};

TEST(list_items_join_once_and_leave_in_any_order)
{
    struct item items[4] = { { .n = 0 }, { .n = 1 }, { .n = 2 }, { .n = 3 } };
    struct list l;
    int sum = 0, place = 0;

    list_init(&l);
    check_true(list_first(&l) == NULL && list_last(&l) == NULL);
    for (int i = 0; i < 4; i++) {
        list_add(&l, &items[i].link);
        list_add(&l, &items[i].link); /* already there */
    }
    list_remove(&items[1].link);
    list_remove(&items[1].link); /* already out */
    check_true(!list_linked(&items[1].link));
    LIST_EACH(link, &l)
    {
        struct item *item = LIST_ITEM(link, struct item, link);

        sum += item->n << 4 * place++;
        if (item->n == 2)
            list_remove(link);
    }
    check_int(sum, 0x320);
    check_int(LIST_ITEM(list_first(&l), struct item, link)->n, 0);
    check_int(LIST_ITEM(list_last(&l), struct item, link)->n, 3);
}

CHECK_MAIN()
