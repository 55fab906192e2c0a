/* SPDX-License-Identifier: AGPL-3.0-only */

/* Who owns a name, and which devices it wants. */

#include <string.h>

#include "base/strv.h"
#include "fleet/operator/decide_internal.h"

/* The one that was created first; of one second, the one with the smaller uid. */
static bool is_older(const struct dep *a, const struct dep *b)
{
    int order = strcmp(a->object.created ? a->object.created : "",
                       b->object.created ? b->object.created : "");

    if (order == 0)
        order = strcmp(a->object.uid ? a->object.uid : "", b->object.uid ? b->object.uid : "");
    return order < 0;
}

static void choose_owner(struct step *s, struct name *n)
{
    struct dep *owner = NULL;

    LIST_EACH(link, &n->contenders)
    {
        struct dep *dep = LIST_ITEM(link, struct dep, in_name);

        if (!dep->object.deleting && (!owner || is_older(dep, owner)))
            owner = dep;
    }
    if (owner == n->owner)
        return;
    n->owner = owner;
    LIST_EACH(link, &n->contenders)
    dep_touch(s->w, LIST_ITEM(link, struct dep, in_name));
    if (owner && list_first(&n->contenders) != list_last(&n->contenders))
        add_log(s, true, "several deployments are called %s: %s is the oldest and owns the name",
                n->name, owner->key);
}

static void set_match(struct step *s, struct cell *c, bool matched)
{
    c->matched = matched;
    blob_set(s->w, &c->want, matched ? c->name->owner->score : NULL);
    cell_refresh(s->w, c);
}

static void freeze(struct step *s, struct cell *c)
{
    if (!c->matched)
        blob_set(s->w, &c->want, cell_holds(c));
    cell_refresh(s->w, c);
}

void match_name(struct step *s, struct name *n)
{
    struct world *w = s->w;
    bool frozen;

    choose_owner(s, n);
    if (!w->open)
        return;
    frozen = name_frozen(n);
    n->pins++;
    LIST_EACH(link, &n->cells)
    LIST_ITEM(link, struct cell, in_name)->keep = frozen;
    if (n->owner && !frozen)
        MAP_EACH(e, &w->devices)
        {
            struct device *d = e->value;

            if (!device_known(d) || !selector_matches(&n->owner->object.selector, device_labels(d)))
                continue;
            struct cell *c = world_cell(w, d, n);
            c->keep = true;
            set_match(s, c, true);
        }
    LIST_EACH(link, &n->cells)
    {
        struct cell *c = LIST_ITEM(link, struct cell, in_name);

        if (frozen)
            freeze(s, c);
        else if (!c->keep)
            set_match(s, c, false);
    }
    n->pins--;
    name_touch(w, n);
    world_drop_name(w, n);
}

void match_device(struct step *s, struct device *d)
{
    struct world *w = s->w;

    if (!w->open)
        return;
    d->pins++;
    LIST_EACH(link, &d->cells)
    {
        struct cell *c = LIST_ITEM(link, struct cell, in_device);
        c->keep = name_frozen(c->name);
    }
    if (device_known(d))
        MAP_EACH(e, &w->names)
        {
            struct name *n = e->value;

            if (!n->owner || name_frozen(n) ||
                !selector_matches(&n->owner->object.selector, device_labels(d)))
                continue;
            struct cell *c = world_cell(w, d, n);
            c->keep = true;
            if (!c->matched)
                set_match(s, c, true);
        }
    LIST_EACH(link, &d->cells)
    {
        struct cell *c = LIST_ITEM(link, struct cell, in_device);

        if (!c->keep)
            set_match(s, c, false);
    }
    d->pins--;
    world_drop_device(w, d);
}
