/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * NATS with JetStream KV, over nats.c. A bus reconnects for ever, whatever ended the connection, with
 * exponential pauses and jitter. Events arrive on the loop's thread through a mailbox. A bus without
 * a loop (NULL) is for blocking use by scores, the rig and tests: it has only the blocking calls and
 * bus_publish(), and each of them connects again when it must.
 *
 * Writes: bus_put() and bus_write() are acknowledged by the server or fail; there is no silent queue.
 * A call that is made while there is no connection fails at once with ENOTCONN.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"

struct bus_config {
    const char *url;             /* "nats://127.0.0.1:4222"; "tls://" for TLS */
    const char *name;            /* client name, seen in the server's connz */
    const char *user, *password; /* NULL: none */
    const char *ca_file;         /* NULL: the system's */
    int64_t reconnect_max_ms;    /* longest pause between attempts; 0: 10 s */
};

struct bus;

struct bus_handler {
    void (*connected)(void *userdata); /* also after each reconnect */
    /* Goes on trying. Also when connecting fails: once for each new reason. */
    void (*disconnected)(const char *reason, void *userdata);
    void *userdata;
};

/* Starts connecting and returns; with a NULL loop it waits until connected or `timeout_ms`. All
 * strings are copied. */
int bus_new(const struct bus_config *config, sd_event *loop, const struct bus_handler *handler,
            int64_t timeout_ms, struct bus **ret, struct err **err);
/* Not from within a callback. Writes that wait are forgotten, their `done` is not called; watches are
 * freed. */
void bus_free(struct bus *b);
DEFINE_CLEANUP(struct bus *, bus_free)
bool bus_connected(const struct bus *b);

/* Creates bucket `name` (file storage, history 1) unless it exists. Blocking; the operator's and the
 * scores' work, a device has no right to it. */
int bus_ensure_bucket(struct bus *b, const char *name, int64_t timeout_ms, struct err **err);

/* One entry of a bucket. Borrowed during a callback; from bus_get() freed with bus_entry_done(). */
struct bus_entry {
    char *key;
    char *value; /* NUL-terminated; NULL when deleted or purged */
    size_t len;
    uint64_t revision;
    int64_t stored_ms; /* when the server stored it, milliseconds since 1970 */
};
void bus_entry_done(struct bus_entry *e);

/* Blocking. bus_get(): -ENOENT when absent or deleted. */
int bus_get(struct bus *b, const char *bucket, const char *key, int64_t timeout_ms,
            struct bus_entry *ret, struct err **err);
int bus_put(struct bus *b, const char *bucket, const char *key, const char *value, size_t len,
            int64_t timeout_ms, struct err **err);
int bus_delete(struct bus *b, const char *bucket, const char *key, int64_t timeout_ms,
               struct err **err);
/* All live keys that match `filter` ("edge-1.>" or ">"), sorted: strv, the caller frees it. */
int bus_keys(struct bus *b, const char *bucket, const char *filter, int64_t timeout_ms, char ***ret,
             struct err **err);

/* The revision of the bucket's last write or deletion, whoever made it. */
int bus_last_revision(struct bus *b, const char *bucket, int64_t timeout_ms, uint64_t *ret,
                      struct err **err);
/* Names of those that follow exactly `filter` in the bucket, as the server knows them, sorted: strv,
 * the caller frees it. One whose line broke stays until the server gives it up. */
int bus_followers(struct bus *b, const char *bucket, const char *filter, int64_t timeout_ms,
                  char ***ret, struct err **err);

/* Asynchronous write for daemons: `done` is called on the loop with NULL once the server has
 * acknowledged, or with the failure (deadline 10 s). value NULL deletes. In order per key. */
int bus_write(struct bus *b, const char *bucket, const char *key, const char *value, size_t len,
              void (*done)(const struct err *failure, void *userdata), void *userdata,
              struct err **err);

/* Core publish, at most once: for the pulse. */
int bus_publish(struct bus *b, const char *subject, const char *data, size_t len, struct err **err);

/* Follows the keys of a bucket: every key's last value, then each change, with no window between.
 * After a reconnect, a gap or a missed heartbeat the snapshot is redone: `begin` comes again. */
struct bus_watch;

struct bus_watch_handler {
    void (*begin)(void *userdata);                                /* a snapshot follows */
    void (*entry)(const struct bus_entry *entry, void *userdata); /* value NULL: deleted */
    void (*end)(void *userdata); /* the snapshot is whole: what was not in it does not exist */
    /* e.g. no such bucket yet; goes on trying. Once for the same trouble until a snapshot is whole. */
    void (*trouble)(const struct err *err, void *userdata);
    void *userdata;
};

/* Needs a loop. May be made before there is a connection. Freed before the bus; within its own
 * callbacks is fine. */
int bus_watch_new(struct bus *b, const char *bucket, const char *filter,
                  const struct bus_watch_handler *handler, struct bus_watch **ret,
                  struct err **err);
void bus_watch_free(struct bus_watch *w);
DEFINE_CLEANUP(struct bus_watch *, bus_watch_free)
