/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Random walks: whatever happens in whatever order, once the world is left alone the bucket holds
 * exactly what Deployments and Devices ask for, and the status of every Deployment adds up. What is
 * right is worked out here from the plain facts, without the operator's own structures. A walk that
 * fails prints its lines: they are a trace.
 */

#include "fleet/operator/play.h"

#include <stdarg.h>

#define WALKS 400
#define STEPS 120

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static const char *const ids[] = { "e1", "e2", "e3" };
static const char *const groups[] = { "a", "b" };
static const char *const names[] = { "p", "q" };
static const char *const keys[] = { "x/p", "y/p", "x/q" };
static const char *const phases[] = { "Pending", "Running", "Failed" };

struct walk {
    struct play p;
    struct buf lines;
    int generation;
    bool right;
    bool meddled; /* somebody else writes to desired-state, too */
};

static void __attribute__((format(printf, 2, 3))) step(struct walk *k, const char *fmt, ...)
{
    CLEANUP_FREE char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&line, fmt, ap) < 0)
        abort();
    va_end(ap);
    buf_addf(&k->lines, "%s\n", line);
    play_line(&k->p, line);
    buf_reset(&k->p.out);
}

static const json_t *object_of(struct walk *k, const char *target)
{
    return map_get(&k->p.objects, target);
}

static bool is_deleting(const json_t *object)
{
    return json_path(object, "metadata.deletionTimestamp") != NULL;
}

static bool has_finalizer(const json_t *object)
{
    return json_array_size(json_path(object, "metadata.finalizers")) > 0;
}

static const char *fact(struct walk *k, enum source source, const char *key)
{
    CLEANUP_FREE char *name = xasprintf("%d %s", (int)source, key);

    return map_get(&k->p.facts, name);
}

static const json_t *owner_of(struct walk *k, const char *name);

/* Its finalizer is gone: so must be its keys, unless somebody took the name over. */
static void check_left_behind(struct walk *k, const char *name)
{
    char key[KEY_MAX];

    for (size_t i = 0; i < ARRAY_LEN(ids) && !k->meddled && !owner_of(k, name); i++)
        k->right &= check_str(map_get(&k->p.written, key_desired(key, ids[i], name)), NULL);
}

/* The API server removes an object that is being deleted when its last finalizer goes. */
static void collect_garbage(struct walk *k)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *object = object_of(k, keys[i]);

        if (object && is_deleting(object) && !has_finalizer(object)) {
            check_left_behind(k, keys[i] + 2);
            step(k, "gone dep %s", keys[i]);
        }
    }
}

static void change_dep(struct walk *k)
{
    const char *key = keys[pick(ARRAY_LEN(keys))];
    const json_t *object = object_of(k, key);
    bool deletes = object && pick(3) == 0;

    if (object && is_deleting(object))
        return;
    if (deletes && !has_finalizer(object)) {
        step(k, "gone dep %s", key);
        return;
    }
    step(k, "dep %s gen=%d group=%s score=%u created=2026-04-21T1%c:00:00Z%s%s%s", key,
         ++k->generation, groups[pick(2)], pick(2), *key == 'x' ? '7' : '6',
         object && has_finalizer(object) ? " finalizer" : "", deletes ? " deleting" : "",
         pick(8) == 0 ? " broken" : "");
}

/* A full list, of what there is now. `lost`: the bucket is empty. */
static void list_again(struct walk *k, enum source source, bool lost)
{
    char prefix[] = { (char)('0' + source), ' ', '\0' };
    struct map *map = source == SOURCE_DESIRED ? &k->p.written : &k->p.facts;

    buf_addf(&k->lines, "# %s is listed again%s\n", sources[source], lost ? ", empty" : "");
    feed(&k->p, (struct event){ .type = EVENT_BEGIN, .source = source });
    if (source == SOURCE_DEPLOYMENTS || source == SOURCE_DEVICES) {
        MAP_EACH(e, &k->p.objects)
        if (!strchr(e->key, '/') == (source == SOURCE_DEVICES))
            feed(&k->p,
                 (struct event){ .type = EVENT_OBJECT, .source = source, .object = e->value });
    } else {
        MAP_EACH(e, map)
        {
            const char *key = source == SOURCE_DESIRED ? e->key : e->key + 2;

            if (source != SOURCE_DESIRED && !str_starts(e->key, prefix))
                continue;
            if (lost) {
                free(map_remove(map, e->key));
                continue;
            }
            feed(&k->p, (struct event){ .type = EVENT_ENTRY,
                                        .source = source,
                                        .key = key,
                                        .value = e->value, /* NULL: a delete marker */
                                        .len = e->value ? strlen(e->value) : 0,
                                        .revision = ++k->p.revision,
                                        .stored_ms = WALL_START_MS + k->p.now_ms });
        }
    }
    feed(&k->p, (struct event){ .type = EVENT_END, .source = source });
    buf_reset(&k->p.out);
}

/* A connection that comes back brings every list again. */
static void connect(struct walk *k)
{
    bool was_up = k->p.w.bus_up;

    step(k, "up");
    for (enum source i = SOURCE_DESIRED; !was_up && i < SOURCES; i++)
        list_again(k, i, false);
}

static void finish_one(struct walk *k)
{
    const struct list_link *link = list_first(&k->p.pending);
    const struct pending *pending = link ? LIST_ITEM(link, struct pending, link) : NULL;
    CLEANUP_FREE char *target = pending ? xstrdup(pending->target) : NULL;
    bool is_key = pending && !pending->body, ok = pick(5) > 0;

    if (!pending)
        return;
    /* Somebody else deleted it meanwhile. */
    if (pending->body && !object_of(k, target) && pending->type != ACTION_DEVICE)
        ok = false;
    /* The watch may be quicker than the acknowledgement. */
    if (is_key && ok && pick(2)) {
        free(map_put(&k->p.written, target, xstrdup(pending->value)));
        step(k, "echo %s", target);
        step(k, "ok %s", target);
        return;
    }
    step(k, "%s %s", ok ? "ok" : "fail", target);
    if (is_key && ok)
        step(k, "echo %s", target);
    collect_garbage(k);
}

static void random_step(struct walk *k)
{
    const char *id = ids[pick(ARRAY_LEN(ids))];

    switch (pick(16)) {
    case 0:
    case 1:
        step(k, "info %s group=%s", id, groups[pick(2)]);
        break;
    case 2:
        step(k, "entry device-info info.%s %u%s", id, ++k->generation, pick(2) ? "" : " {");
        break;
    case 3:
    case 4:
        change_dep(k);
        break;
    case 5:
    case 6:
        step(k, "state %s %s %s", id, names[pick(2)], phases[pick(3)]);
        break;
    case 7:
        if (object_of(k, id))
            step(k, "gone device %s", id);
        break;
    case 8:
        if (k->meddled)
            step(k, "entry desired-state %s.%s %u%s", id, names[pick(2)], 1000 + ++k->generation,
                 pick(2) ? "" : " {}");
        break;
    case 9:
        list_again(k, (enum source)pick(SOURCE_HEARTBEAT), false);
        break;
    case 10:
        if (pick(4) == 0)
            list_again(k, pick(2) ? SOURCE_DESIRED : SOURCE_STATE, true);
        break;
    case 11:
        if (pick(2))
            connect(k);
        else
            step(k, "down");
        break;
    case 12:
        step(k, "+%u", pick(3));
        break;
    default:
        finish_one(k);
    }
}

/* --- what is right ------------------------------------------------------------------------ */

/* The group of a device by its info, else by its object; NULL when there is neither. */
static const char *group_of(struct walk *k, const char *id)
{
    const json_t *object = object_of(k, id);
    char key[KEY_MAX];
    const char *info = fact(k, SOURCE_INFO, key_info(key, id));

    for (size_t i = 0; info && i < ARRAY_LEN(groups); i++) {
        CLEANUP_FREE char *part = xasprintf("\"group\":\"%s\"", groups[i]);

        if (strstr(info, part))
            return groups[i];
    }
    return json_path_str(object, "metadata.labels.group");
}

/* y/p was created before x/p. */
static const json_t *owner_of(struct walk *k, const char *name)
{
    const json_t *owner = NULL;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *object = object_of(k, keys[i]);

        if (object && str_ends(keys[i], name) && !is_deleting(object) &&
            (!owner || *keys[i] == 'y'))
            owner = object;
    }
    return owner;
}

static bool is_broken(const json_t *dep)
{
    return strchr(json_path_str(dep, "spec.score.type"), ' ') != NULL;
}

static bool has_marker(struct walk *k, const char *key)
{
    MAP_EACH(e, &k->p.written)
    if (str_eq(e->key, key))
        return !e->value;
    return false;
}

static void check_name(struct walk *k, const char *name)
{
    const json_t *owner = owner_of(k, name);
    const json_t *aggregate = json_path(owner, "status.aggregate");
    int matched = 0, ran = 0;
    char key[KEY_MAX];

    if (owner && is_broken(owner))
        return;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const char *group = group_of(k, ids[i]), *info, *state;
        CLEANUP_FREE char *want = NULL;

        if (owner && group &&
            str_eq(group, json_path_str(owner, "spec.targetSelector.matchLabels.group")))
            want = json_text_sorted(json_path(owner, "spec.score"));
        k->right &= check_str(map_get(&k->p.written, key_desired(key, ids[i], name)), want);
        state = fact(k, SOURCE_STATE, key_state(key, ids[i], name));
        /* Somebody has to tell a device that it runs what nobody wants. */
        info = fact(k, SOURCE_INFO, key_info(key, ids[i]));
        if (state && !want && info && strstr(info, "\"group\""))
            k->right &= check_true(has_marker(k, key_desired(key, ids[i], name)));
        matched += want != NULL;
        ran += want && state && strstr(state, "Running");
    }
    if (!owner)
        return;
    k->right &= check_int(json_path_int(aggregate, "matchedDeviceCount", -1), matched);
    k->right &= check_int(json_path_int(aggregate, "succeeded", -1), ran);
    k->right &= check_int(json_path_int(owner, "status.observedGeneration", -1),
                          json_path_int(owner, "metadata.generation", 0));
}

static void come_to_rest(struct walk *k, bool lists)
{
    int rounds = 0;

    connect(k);
    for (enum source i = 0; lists && i < SOURCES; i++)
        list_again(k, i, false);
    do {
        while (!list_empty(&k->p.pending) && rounds++ < 1000) {
            const struct list_link *link = list_first(&k->p.pending);
            const struct pending *pending = LIST_ITEM(link, struct pending, link);
            bool gone = pending->body && pending->type != ACTION_DEVICE &&
                        !object_of(k, pending->target);
            CLEANUP_FREE char *target = xstrdup(pending->target);
            bool is_key = !pending->body;

            step(k, "%s %s", gone ? "fail" : "ok", target);
            if (is_key)
                step(k, "echo %s", target);
            collect_garbage(k);
        }
        step(k, "+40");
    } while (!list_empty(&k->p.pending) && rounds < 1000);
    k->right &= check_true(rounds < 1000);
}

static bool walk(uint64_t number)
{
    struct walk k = { .lines = BUF_INIT(1 << 20), .right = true, .meddled = number % 3 == 0 };

    seed = number * 0x9e3779b97f4a7c15 + 1;
    check_case("walk %ju", (uintmax_t)number);
    play_init(&k.p);
    step(&k, "up");
    /* Most walks begin when all is known, the others with the gates shut. */
    for (enum source i = 0; number % 4 && i < SOURCES; i++)
        list_again(&k, i, false);
    for (int i = 0; i < STEPS; i++)
        random_step(&k);
    come_to_rest(&k, /* lists= */ number % 2 == 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check_name(&k, names[i]);
    k.right &= check_int((int64_t)(k.p.w.writing + k.p.w.calling), 0);
    if (!k.right)
        printf("%s", buf_str(&k.lines));
    play_done(&k.p);
    buf_done(&k.lines);
    return k.right;
}

TEST(after_any_walk_the_bucket_holds_what_is_asked_for)
{
    for (uint64_t i = 0; i < WALKS; i++)
        if (!walk(i))
            return;
}

CHECK_MAIN()
