/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * For tests: plays events, written as lines, to a world, and stands in for what would carry its
 * actions out.
 *
 *   begin SOURCE, end SOURCE        a full list: deployments, devices, desired-state, ...
 *   dep NS/NAME WORD...             the object as the API server has it: gen=N group=G score=TEXT
 *                                   created=TEXT selector=none, finalizer, deleting, broken
 *   gone dep NS/NAME, gone device ID
 *   device ID group=G               a Device that we made earlier; again: with its stored status
 *   info ID group=G                 and so on: entries of the buckets
 *   state ID NAME PHASE [at=SECONDS] [ERROR...]
 *   beat ID [rev=N] [at=SECONDS] [stored=SECONDS]    seconds from now
 *   entry BUCKET KEY REVISION [VALUE]                any entry; without value: deleted
 *   ok TARGET, fail TARGET          what came of the oldest action on TARGET
 *   echo KEY                        the watch shows what was written last
 *   settle                          all that is under way succeeds and is shown, until nothing is
 *   up, down                        the bus
 *   +SECONDS                        time passes
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/operator/decide.h"

#define WALL_START_MS 1776794400000 /* 2026-04-21T18:00:00Z */

struct pending {
    enum action_type type;
    char *target, *value;
    json_t *body;
    struct list_link link;
};

struct play {
    struct world w;
    int64_t now_ms; /* since the start */
    uint64_t revision;
    int version;
    struct map objects; /* by target: as the API server has them */
    struct map written; /* by key: what desired-state holds */
    struct map facts;   /* by "source key": what the other buckets hold */
    struct list pending;
    struct buf out;
};

static const char *const sources[SOURCES] = { "deployments", "devices",      "desired-state",
                                              "device-info", "device-state", "device-heartbeat" };

static inline enum source source_of(const char *name)
{
    for (enum source i = 0; i < SOURCES; i++)
        if (str_eq(name, sources[i]))
            return i;
    check_case("source %s", name);
    check_abort();
}

/* --- actions ------------------------------------------------------------------------------ */

static inline void take_action(struct play *p, const struct action *a)
{
    static const char *const names[] = { "write",  "delete",        "patch", "status",
                                         "device", "device-status", "log" };
    struct pending *pending;

    if (a->type == ACTION_LOG) {
        buf_addf(&p->out, "> %s: %s\n", a->is_warning ? "warning" : "info", a->text);
        return;
    }
    buf_addf(&p->out, "> %s %s", names[a->type], a->target);
    if (a->value)
        buf_addf(&p->out, " %s", a->value);
    if (a->body) {
        CLEANUP_FREE char *body = json_text_sorted(a->body);
        buf_addf(&p->out, " %s", body);
    }
    buf_addc(&p->out, '\n');
    pending = xcalloc(1, sizeof(*pending));
    pending->type = a->type;
    pending->target = xstrdup(a->target);
    pending->value = xstrdup(a->value);
    pending->body = json_incref(a->body);
    list_add(&p->pending, &pending->link);
}

static inline void feed(struct play *p, struct event event)
{
    struct actions actions = { 0 };

    event.mono_ms = p->now_ms;
    event.wall_ms = WALL_START_MS + p->now_ms;
    decide(&p->w, &event, &actions);
    for (size_t i = 0; i < actions.n; i++)
        take_action(p, &actions.items[i]);
    actions_done(&actions);
}

static inline void pending_free(struct pending *pending)
{
    list_remove(&pending->link);
    free(pending->target);
    free(pending->value);
    json_decref(pending->body);
    free(pending);
}

/* RFC 7396. Takes over `target`. */
static inline json_t *merge(json_t *target, json_t *patch)
{
    const char *key;
    json_t *value;
    void *next;

    if (!json_is_object(patch)) {
        json_decref(target);
        return json_incref(patch);
    }
    if (!json_is_object(target)) {
        json_decref(target);
        target = json_object();
    }
    json_object_foreach_safe(patch, next, key, value)
    {
        if (json_is_null(value))
            json_object_del(target, key);
        else
            json_object_set_new(target, key,
                                merge(json_incref(json_object_get(target, key)), value));
    }
    return target;
}

static inline void set_version(struct play *p, json_t *object)
{
    CLEANUP_FREE char *version = xasprintf("%d", ++p->version);

    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_string(version));
}

static inline json_t *managed(json_t *labels)
{
    json_t *fields = json_object(), *value;
    const char *key;

    json_object_foreach(labels, key, value)
    {
        CLEANUP_FREE char *name = xasprintf("f:%s", key);
        json_object_set_new(fields, name, json_object());
    }
    return json_pack("[{s:s, s:s, s:{s:{s:o}}}]", "manager", FLEET_FIELD_MANAGER, "operation",
                     "Apply", "fieldsV1", "f:metadata", "f:labels", fields);
}

/* What the API server makes of a patch. Borrowed. */
static inline json_t *store(struct play *p, const struct pending *pending)
{
    json_t *object = json_deep_copy(map_get(&p->objects, pending->target));

    object = merge(object, pending->body);
    set_version(p, object);
    if (pending->type == ACTION_DEVICE) {
        json_t *metadata = json_object_get(object, "metadata");

        json_object_set_new(metadata, "managedFields",
                            managed(json_path(pending->body, "metadata.labels")));
    }
    json_decref(map_put(&p->objects, pending->target, object));
    return object;
}

static inline void echo(struct play *p, const char *key)
{
    const char *value = map_get(&p->written, key);

    feed(p, (struct event){ .type = EVENT_ENTRY,
                            .source = SOURCE_DESIRED,
                            .key = key,
                            .value = value,
                            .len = value ? strlen(value) : 0,
                            .revision = ++p->revision });
}

static inline void finish(struct play *p, struct pending *pending, bool ok)
{
    CLEANUP_ERR struct err *failure = NULL;
    struct event done = { .type = EVENT_DONE, .action = pending->type, .target = pending->target };

    if (!ok)
        err_new(&failure, EIO, "the wire was cut");
    else if (pending->body)
        done.object = store(p, pending);
    else
        free(map_put(&p->written, pending->target, xstrdup(pending->value)));
    done.failure = failure;
    feed(p, done);
    pending_free(pending);
}

static inline struct pending *find_pending(struct play *p, const char *target)
{
    LIST_EACH(link, &p->pending)
    {
        struct pending *pending = LIST_ITEM(link, struct pending, link);

        if (str_eq(pending->target, target))
            return pending;
    }
    check_case("nothing is under way for %s", target);
    check_abort();
}

static inline void settle(struct play *p)
{
    struct list_link *first;

    while ((first = list_first(&p->pending))) {
        struct pending *pending = LIST_ITEM(first, struct pending, link);
        CLEANUP_FREE char *target = xstrdup(pending->target);
        bool is_key = !pending->body;

        finish(p, pending, true);
        if (is_key)
            echo(p, target);
    }
}

/* --- events ------------------------------------------------------------------------------- */

/* The value of word "key=value", or `otherwise`. */
static const char *word(char *const *words, const char *key, const char *otherwise)
{
    size_t n = strlen(key);

    for (; *words; words++)
        if (strncmp(*words, key, n) == 0 && (*words)[n] == '=')
            return *words + n + 1;
    return otherwise;
}

static inline int64_t seconds(char *const *words, const char *key, int64_t otherwise)
{
    const char *text = word(words, key, NULL);

    return text ? (int64_t)(strtod(text, NULL) * 1000) : otherwise;
}

static inline void put_object(struct play *p, const char *target, enum source source,
                              json_t *object)
{
    set_version(p, object);
    json_decref(map_put(&p->objects, target, object));
    feed(p, (struct event){ .type = EVENT_OBJECT, .source = source, .object = object });
}

static inline void on_dep(struct play *p, char *const *words)
{
    CLEANUP_STRV char **parts = strv_split(words[1], "/");
    const char *created = word(words, "created", "2026-04-21T17:00:00Z");
    const char *score = word(words, "score", "v1"), *group = word(words, "group", NULL);
    json_t *old = map_get(&p->objects, words[1]), *object;

    object = json_pack("{s:{s:s, s:s, s:s, s:s, s:I, s:[]}, s:{s:{}, s:{s:s, s:{s:s}}}}",
                       "metadata", "namespace", parts[0], "name", parts[1], "uid", words[1],
                       "creationTimestamp", created, "generation",
                       (json_int_t)strtol(word(words, "gen", "1"), NULL, 10), "finalizers", "spec",
                       "targetSelector", "score", "type", "PodmanV0", "data", "is", score);
    if (group)
        json_object_set_new(json_path(object, "spec.targetSelector"), "matchLabels",
                            json_pack("{s:s}", "group", group));
    if (strv_has(words, "finalizer"))
        json_array_append_new(json_path(object, "metadata.finalizers"),
                              json_string(FLEET_FINALIZER));
    if (strv_has(words, "deleting"))
        json_object_set_new(json_object_get(object, "metadata"), "deletionTimestamp",
                            json_string("2026-04-21T18:00:00Z"));
    if (strv_has(words, "broken"))
        json_object_set_new(json_path(object, "spec.score"), "type", json_string("a b"));
    if (json_object_get(old, "status"))
        json_object_set(object, "status", json_object_get(old, "status"));
    put_object(p, words[1], SOURCE_DEPLOYMENTS, object);
}

static inline json_t *labels_of(char *const *words)
{
    return json_pack("{s:s, s:s}", "device-id", words[1], "group", word(words, "group", "a"));
}

static inline void on_device(struct play *p, char *const *words)
{
    CLEANUP_JSON json_t *labels = labels_of(words);
    json_t *old = map_get(&p->objects, words[1]);
    json_t *object = json_pack("{s:{s:s, s:O, s:o}, s:{s:{s:i, s:i, s:s}}}", "metadata", "name",
                               words[1], "labels", labels, "managedFields", managed(labels), "spec",
                               "inventory", "cpuCores", 2, "memoryMb", 512, "hostname", words[1]);

    if (json_object_get(old, "status"))
        json_object_set(object, "status", json_object_get(old, "status"));
    put_object(p, words[1], SOURCE_DEVICES, object);
}

static inline void entry(struct play *p, enum source source, const char *key, const char *value,
                         uint64_t revision, int64_t stored_ms)
{
    CLEANUP_FREE char *fact = xasprintf("%d %s", (int)source, key);

    free(map_put(&p->facts, fact, xstrdup(value)));
    feed(p, (struct event){ .type = EVENT_ENTRY,
                            .source = source,
                            .key = key,
                            .value = value,
                            .len = value ? strlen(value) : 0,
                            .revision = revision,
                            .stored_ms = stored_ms });
}

static inline void on_info(struct play *p, char *const *words)
{
    CLEANUP_JSON json_t *info =
            json_pack("{s:s, s:o, s:{s:s, s:i, s:i}, s:s}", "device_id", words[1], "labels",
                      labels_of(words), "inventory", "hostname", words[1], "cpuCores", 2,
                      "memoryMb", 512, "updated_at", "2026-04-21T18:00:00Z");
    CLEANUP_FREE char *value = json_text(info);
    char key[KEY_MAX];

    entry(p, SOURCE_INFO, key_info(key, words[1]), value, ++p->revision, 0);
}

static inline void on_state(struct play *p, char *const *words)
{
    static const enum phase phases[] = { PHASE_PENDING, PHASE_RUNNING, PHASE_FAILED };
    struct deployment_state state = {
        .device_id = words[1],
        .deployment = words[2],
        .last_event_at_ms = WALL_START_MS + p->now_ms + seconds(words, "at", 0),
    };
    bool has_at = word(words, "at", NULL) != NULL;
    CLEANUP_FREE char *error = strv_join(words + 4 + (has_at && words[4]), " "), *value = NULL;
    char key[KEY_MAX];

    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (str_eq(words[3], phase_text(phases[i])))
            state.phase = phases[i];
    state.last_error = *error ? error : NULL;
    value = deployment_state_encode(&state);
    entry(p, SOURCE_STATE, key_state(key, words[1], words[2]), value, ++p->revision, 0);
}

static inline void on_beat(struct play *p, char *const *words)
{
    int64_t now = WALL_START_MS + p->now_ms, stored = now + seconds(words, "stored", 0);
    struct heartbeat beat = { .device_id = words[1], .at_ms = stored + seconds(words, "at", 0) };
    CLEANUP_FREE char *value = heartbeat_encode(&beat);
    const char *revision = word(words, "rev", NULL);
    char key[KEY_MAX];

    entry(p, SOURCE_HEARTBEAT, key_heartbeat(key, words[1]), value,
          revision ? strtoull(revision, NULL, 10) : ++p->revision, stored);
}

static inline void on_gone(struct play *p, char *const *words)
{
    enum source source = str_eq(words[1], "dep") ? SOURCE_DEPLOYMENTS : SOURCE_DEVICES;
    CLEANUP_JSON json_t *object = map_remove(&p->objects, words[2]);

    need_true(object != NULL);
    set_version(p, object);
    feed(p, (struct event){ .type = EVENT_GONE, .source = source, .object = object });
}

static inline void on_list(struct play *p, char *const *words)
{
    enum event_type type = str_eq(words[0], "begin") ? EVENT_BEGIN : EVENT_END;

    for (char *const *name = words + 1; *name; name++)
        feed(p, (struct event){ .type = type, .source = source_of(*name) });
}

static inline void on_entry(struct play *p, char *const *words)
{
    CLEANUP_FREE char *value = words[4] ? strv_join(words + 4, " ") : NULL;
    enum source source = source_of(words[1]);

    if (source == SOURCE_DESIRED)
        free(map_put(&p->written, words[2], xstrdup(value)));
    entry(p, source, words[2], value, strtoull(words[3], NULL, 10), WALL_START_MS + p->now_ms);
}

static inline void pass(struct play *p, const char *text)
{
    int64_t until = p->now_ms + (int64_t)(strtod(text, NULL) * 1000);

    while (decide_next_ms(&p->w) <= until) {
        int64_t next = decide_next_ms(&p->w);

        p->now_ms = next > p->now_ms ? next : p->now_ms;
        feed(p, (struct event){ .type = EVENT_TIME });
        need_true(decide_next_ms(&p->w) > p->now_ms);
    }
    p->now_ms = until;
}

static inline void play_line(struct play *p, const char *line)
{
    CLEANUP_STRV char **words = strv_split(line, " ");
    const char *verb = words ? words[0] : "#";

    if (*verb == '+')
        pass(p, verb + 1);
    else if (str_eq(verb, "begin") || str_eq(verb, "end"))
        on_list(p, words);
    else if (str_eq(verb, "dep"))
        on_dep(p, words);
    else if (str_eq(verb, "device"))
        on_device(p, words);
    else if (str_eq(verb, "gone"))
        on_gone(p, words);
    else if (str_eq(verb, "info"))
        on_info(p, words);
    else if (str_eq(verb, "state"))
        on_state(p, words);
    else if (str_eq(verb, "beat"))
        on_beat(p, words);
    else if (str_eq(verb, "entry"))
        on_entry(p, words);
    else if (str_eq(verb, "echo"))
        echo(p, words[1]);
    else if (str_eq(verb, "ok") || str_eq(verb, "fail"))
        finish(p, find_pending(p, words[1]), str_eq(verb, "ok"));
    else if (str_eq(verb, "settle"))
        settle(p);
    else if (str_eq(verb, "up") || str_eq(verb, "down"))
        feed(p, (struct event){ .type = str_eq(verb, "up") ? EVENT_BUS_UP : EVENT_BUS_DOWN });
    else
        check_true(*verb == '#');
}

static inline void play_init(struct play *p)
{
    *p = (struct play){ .out = BUF_INIT(1 << 20) };
    world_init(&p->w, 75000);
    list_init(&p->pending);
}

static inline void play_done(struct play *p)
{
    LIST_EACH(link, &p->pending)
    pending_free(LIST_ITEM(link, struct pending, link));
    MAP_EACH(e, &p->objects)
    json_decref(e->value);
    MAP_EACH(e, &p->written)
    free(e->value);
    MAP_EACH(e, &p->facts)
    free(e->value);
    map_done(&p->facts);
    map_done(&p->objects);
    map_done(&p->written);
    world_done(&p->w);
    buf_done(&p->out);
}
