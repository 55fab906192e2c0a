/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The blocking calls, over nats.c's KV. A bus without a loop dials again by itself when its line is
 * down, until the call's deadline; a bus with a loop fails at once while it has no line.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus_state.h"

#define REDIAL_PAUSE_MS 100

int bus_sync_connect(struct bus *b, int64_t deadline_ms, struct err **err)
{
    struct timespec pause = { .tv_nsec = REDIAL_PAUSE_MS * 1000000 };
    int r;

    if (b->line && !natsConnection_IsClosed(line_connection(b->line)))
        return 0;
    if (b->line)
        line_hang_up(steal_ptr(b->line));
    b->up = false;
    for (;;) {
        r = line_dial_now(&b->plan, &b->line, err);
        if (r >= 0)
            break;
        if (clock_left_ms(deadline_ms) <= REDIAL_PAUSE_MS)
            return r;
        nanosleep(&pause, NULL); /* nothing tells when a server comes back */
    }
    if (err && *err)
        err_free(steal_ptr(*err)); /* of an earlier attempt */
    b->up = true;
    return 0;
}

/* What a call holds while it runs. */
struct access {
    jsCtx *js;
    kvStore *kv; /* NULL until opened */
};

static void access_done(struct access *a)
{
    kvStore_Destroy(a->kv);
    jsCtx_Destroy(a->js);
}
#define CLEANUP_ACCESS __attribute__((cleanup(access_done)))

static int access_server(struct bus *b, int64_t timeout_ms, struct access *a, struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    jsOptions options;
    natsStatus s;

    if (b->loop && !b->up)
        return err_new(err, ENOTCONN, "not connected to %s", b->plan.url);
    if (!b->loop) {
        int r = bus_sync_connect(b, deadline, err);

        if (r < 0)
            return r;
    }
    jsOptions_Init(&options);
    options.Wait = clock_left_ms(deadline) > 0 ? clock_left_ms(deadline) : 1;
    s = natsConnection_JetStream(&a->js, line_connection(b->line), &options);
    return s == NATS_OK ? 0 : line_error(err, s, "opening JetStream at %s", b->plan.url);
}

static int access_bucket(struct bus *b, const char *bucket, int64_t timeout_ms, struct access *a,
                         struct err **err)
{
    natsStatus s;
    int r = access_server(b, timeout_ms, a, err);

    if (r < 0)
        return r;
    s = js_KeyValue(&a->kv, a->js, bucket);
    return s == NATS_OK ? 0 : line_error(err, s, "opening bucket %s", bucket);
}

int bus_ensure_bucket(struct bus *b, const char *name, int64_t timeout_ms, struct err **err)
{
    CLEANUP_ACCESS struct access a = { 0 };
    kvConfig config;
    natsStatus s;
    int r = access_server(b, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = js_KeyValue(&a.kv, a.js, name);
    if (s == NATS_NOT_FOUND) {
        kvConfig_Init(&config);
        config.Bucket = name;
        config.History = 1;
        config.StorageType = js_FileStorage;
        s = js_CreateKeyValue(&a.kv, a.js, &config);
    }
    return s == NATS_OK ? 0 : line_error(err, s, "making bucket %s", name);
}

void bus_entry_done(struct bus_entry *e)
{
    free(e->key);
    free(e->value);
    *e = (struct bus_entry){ 0 };
}

int bus_get(struct bus *b, const char *bucket, const char *key, int64_t timeout_ms,
            struct bus_entry *ret, struct err **err)
{
    CLEANUP_ACCESS struct access a = { 0 };
    kvEntry *entry = NULL;
    natsStatus s;
    int r = access_bucket(b, bucket, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = kvStore_Get(&entry, a.kv, key);
    if (s != NATS_OK)
        return line_error(err, s, "reading %s/%s", bucket, key);
    ret->key = xstrdup(key);
    ret->len = (size_t)kvEntry_ValueLen(entry);
    ret->value = xmalloc(ret->len + 1);
    if (ret->len)
        memcpy(ret->value, kvEntry_Value(entry), ret->len);
    ret->value[ret->len] = '\0';
    ret->revision = kvEntry_Revision(entry);
    ret->stored_ms = kvEntry_Created(entry) / 1000000;
    kvEntry_Destroy(entry);
    return 0;
}

int bus_put(struct bus *b, const char *bucket, const char *key, const char *value, size_t len,
            int64_t timeout_ms, struct err **err)
{
    CLEANUP_ACCESS struct access a = { 0 };
    natsStatus s;
    int r = access_bucket(b, bucket, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = kvStore_Put(NULL, a.kv, key, value, (int)len);
    return s == NATS_OK ? 0 : line_error(err, s, "writing %s/%s", bucket, key);
}

int bus_delete(struct bus *b, const char *bucket, const char *key, int64_t timeout_ms,
               struct err **err)
{
    CLEANUP_ACCESS struct access a = { 0 };
    natsStatus s;
    int r = access_bucket(b, bucket, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = kvStore_Delete(a.kv, key);
    return s == NATS_OK ? 0 : line_error(err, s, "deleting %s/%s", bucket, key);
}

/* Not kvStore_Keys(): that gives up at once on a bucket of some thousand keys. */
int bus_keys(struct bus *b, const char *bucket, const char *filter, int64_t timeout_ms, char ***ret,
             struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    CLEANUP_ACCESS struct access a = { 0 };
    CLEANUP_STRV char **keys = NULL;
    kvWatchOptions options;
    kvWatcher *watcher = NULL;
    size_t n = 0, cap = 0;
    natsStatus s;
    int r = access_bucket(b, bucket, timeout_ms, &a, err);

    if (r < 0)
        return r;
    kvWatchOptions_Init(&options);
    options.IgnoreDeletes = true;
    options.MetaOnly = true;
    s = kvStore_Watch(&watcher, a.kv, filter, &options);
    while (s == NATS_OK) {
        kvEntry *entry = NULL;

        s = kvWatcher_Next(&entry, watcher, clock_left_ms(deadline) + 1);
        if (s != NATS_OK || !entry)
            break; /* no entry: that was the last of what is there */
        keys = grow(keys, n + 1, &cap, sizeof(*keys));
        keys[n++] = xstrdup(kvEntry_Key(entry));
        keys[n] = NULL;
        kvEntry_Destroy(entry);
    }
    kvWatcher_Destroy(watcher);
    if (s != NATS_OK)
        return line_error(err, s, "listing %s", bucket);
    if (keys)
        strv_sort(keys);
    *ret = steal_ptr(keys);
    return 0;
}

int bus_last_revision(struct bus *b, const char *bucket, int64_t timeout_ms, uint64_t *ret,
                      struct err **err)
{
    CLEANUP_FREE char *stream = xasprintf("KV_%s", bucket);
    CLEANUP_ACCESS struct access a = { 0 };
    jsStreamInfo *info = NULL;
    natsStatus s;
    int r = access_server(b, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = js_GetStreamInfo(&info, a.js, stream, NULL, NULL);
    if (s != NATS_OK)
        return line_error(err, s, "asking for bucket %s", bucket);
    *ret = info->State.LastSeq;
    jsStreamInfo_Destroy(info);
    return 0;
}

int bus_followers(struct bus *b, const char *bucket, const char *filter, int64_t timeout_ms,
                  char ***ret, struct err **err)
{
    CLEANUP_FREE char *subject = xasprintf("$KV.%s.%s", bucket, filter);
    CLEANUP_FREE char *stream = xasprintf("KV_%s", bucket);
    CLEANUP_ACCESS struct access a = { 0 };
    CLEANUP_STRV char **names = NULL;
    jsConsumerInfoList *list = NULL;
    natsStatus s;
    int r = access_server(b, timeout_ms, &a, err);

    if (r < 0)
        return r;
    s = js_Consumers(&list, a.js, stream, NULL, NULL);
    if (s != NATS_OK && s != NATS_NOT_FOUND)
        return line_error(err, s, "asking who follows bucket %s", bucket);
    for (int i = 0; list && i < list->Count; i++)
        if (str_eq(list->List[i]->Config->FilterSubject, subject))
            strv_add(&names, list->List[i]->Name);
    jsConsumerInfoList_Destroy(list);
    if (names)
        strv_sort(names);
    *ret = steal_ptr(names);
    return 0;
}
