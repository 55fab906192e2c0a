/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fleet/operator/decide_internal.h"

struct action *add_action(struct step *s, enum action_type type, const char *target)
{
    struct actions *a = s->actions;

    a->items = grow(a->items, a->n, &a->cap, sizeof(*a->items));
    a->items[a->n] = (struct action){ .type = type, .target = xstrdup(target) };
    return &a->items[a->n++];
}

void add_log(struct step *s, bool is_warning, const char *fmt, ...)
{
    struct action *a = add_action(s, ACTION_LOG, NULL);
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&a->text, fmt, ap) < 0)
        abort();
    va_end(ap);
    a->is_warning = is_warning;
}

void actions_done(struct actions *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->items[i].target);
        free(a->items[i].text);
        json_decref(a->items[i].body);
    }
    free(a->items);
    *a = (struct actions){ 0 };
}

static void touch_all_devices(struct world *w)
{
    MAP_EACH(e, &w->devices)
    device_touch(w, e->value);
}

static void touch_all_deps(struct world *w)
{
    MAP_EACH(e, &w->deps)
    dep_touch(w, e->value);
}

static size_t count_devices(const struct world *w)
{
    size_t n = 0;

    MAP_EACH(e, &w->devices)
    n += device_known(e->value);
    return n;
}

static void open_gate(struct step *s)
{
    struct world *w = s->w;

    if (w->open || !w->whole[SOURCE_DEPLOYMENTS] || !w->whole[SOURCE_DEVICES] ||
        !w->whole[SOURCE_INFO] || !w->whole[SOURCE_DESIRED])
        return;
    w->open = true;
    add_log(s, false, "the fleet is known: %zu devices, %zu deployments", count_devices(w),
            w->deps.n);
    MAP_EACH(e, &w->names)
    match_name(s, e->value);
    touch_all_deps(w);
}

static void list_begins(struct step *s, enum source source)
{
    s->w->listing[source] = true;
    s->w->epoch[source]++;
}

/* The API server answers: what waited because it did not is due. */
static void hurry(struct world *w)
{
    LIST_EACH(link, &w->later_deps)
    LIST_ITEM(link, struct dep, in_todo)->retry = (struct retry){ 0 };
    LIST_EACH(link, &w->later_devices)
    LIST_ITEM(link, struct device, in_todo)->retry = (struct retry){ 0 };
    w->later_ms = 0;
}

static void list_ends(struct step *s, enum source source)
{
    struct world *w = s->w;
    bool first = !w->whole[source];

    w->listing[source] = false;
    w->whole[source] = true;
    if (source == SOURCE_DEPLOYMENTS || source == SOURCE_DEVICES) {
        objects_sweep(s, source);
        hurry(w);
    } else {
        entries_sweep(s, source);
    }
    if (source == SOURCE_HEARTBEAT)
        hearts_forgive(s);
    if (first && (source == SOURCE_DEVICES || source == SOURCE_HEARTBEAT))
        touch_all_devices(w);
    if (first && source == SOURCE_STATE)
        touch_all_deps(w);
    open_gate(s);
    reports_judge(s);
}

void decide(struct world *w, const struct event *event, struct actions *actions)
{
    struct step s = {
        .w = w, .mono_ms = event->mono_ms, .wall_ms = event->wall_ms, .actions = actions
    };

    switch (event->type) {
    case EVENT_BEGIN:
        list_begins(&s, event->source);
        break;
    case EVENT_END:
        list_ends(&s, event->source);
        break;
    case EVENT_OBJECT:
        object_seen(&s, event->source, event->object);
        break;
    case EVENT_GONE:
        object_gone(&s, event->source, event->object);
        break;
    case EVENT_ENTRY:
        entry_seen(&s, event);
        break;
    case EVENT_DONE:
        plan_done(&s, event);
        break;
    case EVENT_BUS_UP:
        w->bus_up = true;
        break;
    case EVENT_BUS_DOWN:
        w->bus_up = false;
        /* What the buckets say, and silence, mean nothing until the next lists are whole. */
        for (enum source i = SOURCE_DESIRED; i < SOURCES; i++)
            w->listing[i] = true;
        break;
    case EVENT_TIME:
        break;
    }
    hearts_check(&s);
    plan(&s);
}

int64_t decide_next_ms(const struct world *w)
{
    const struct list_link *first = list_first(&w->alive);
    int64_t next = w->later_ms;

    if (first && w->bus_up && w->whole[SOURCE_HEARTBEAT] && !w->listing[SOURCE_HEARTBEAT]) {
        int64_t silent =
                LIST_ITEM(first, struct device, in_alive)->since_ms + w->unreachable_after_ms;

        next = silent < next ? silent : next;
    }
    return next;
}
