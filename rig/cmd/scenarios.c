/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/rig.h"
#include "rig/verbs/verb.h"

#define MISTAKES_MAX (256 * 1024)

static struct scenario *load(const char *path)
{
    CLEANUP_BUF struct buf mistakes = BUF_INIT(MISTAKES_MAX);
    CLEANUP_ERR struct err *err = NULL;
    struct scenario *s = NULL;

    if (scenario_load(path, verb_table, verb_table_len, &s, &mistakes, &err) >= 0)
        return s;
    fputs(buf_str(&mistakes), stderr);
    fprintf(stderr, "%s\n", err_text(err));
    return NULL;
}

bool scenarios_load(char *const *paths, struct scenarios *ret)
{
    struct scenarios list = { .items = xcalloc(strv_len(paths) + 1, sizeof(*list.items)) };

    for (char *const *p = paths; *p; p++) {
        struct scenario *s = load(*p);

        if (s)
            list.items[list.n++] = s;
    }
    *ret = list;
    return list.n == strv_len(paths);
}

void scenarios_done(struct scenarios *list)
{
    for (size_t i = 0; i < list->n; i++)
        scenario_free(list->items[i]);
    free(list->items);
    *list = (struct scenarios){ 0 };
}
