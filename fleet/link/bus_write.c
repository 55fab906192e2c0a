/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A write is a message to the key's subject with "<inbox>.r.w.<id>" as its reply
 * subject; JetStream answers there once it has stored it (docs.nats.io, "JetStream wire API":
 * PubAck). One connection keeps the order, so answers nearly always come in the order of the list.
 */

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "fleet/link/bus_state.h"

#define DEADLINE_MS 10000
#define ACK_MAX 4096

struct bus_write {
    TAILQ_ENTRY(bus_write) next; /* the oldest first, so also the first to be overdue */
    uint64_t id;
    int64_t deadline_ms;
    char *key; /* "bucket/key", for errors */
    void (*done)(const struct err *failure, void *userdata);
    void *userdata;
};

static void finish(struct bus *b, struct bus_write *w, const struct err *failure)
{
    TAILQ_REMOVE(&b->writes, w, next);
    if (w->done)
        w->done(failure, w->userdata);
    free(w->key);
    free(w);
}

static void watch_the_clock(struct bus *b);

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct bus *b = userdata;
    struct bus_write *w;

    (void)source, (void)usec;
    while ((w = TAILQ_FIRST(&b->writes)) && w->deadline_ms <= clock_mono_ms()) {
        CLEANUP_ERR struct err *failure = NULL;

        err_new(&failure, ETIMEDOUT, "writing %s: not acknowledged within %d s%s%s", w->key,
                DEADLINE_MS / 1000, b->complaint ? "; the server said: " : "",
                b->complaint ? b->complaint : "");
        finish(b, w, failure);
    }
    watch_the_clock(b);
    return 0;
}

static void watch_the_clock(struct bus *b)
{
    struct bus_write *w = TAILQ_FIRST(&b->writes);

    if (w && bus_timer(b, &b->overdue, clock_left_ms(w->deadline_ms) + 1, on_overdue, b, NULL) < 0)
        abort(); /* `done` is promised */
}

/* 0 when the server has stored it. */
static int parse_ack(const struct line_letter *letter, const char *key, struct err **err)
{
    CLEANUP_JSON json_t *ack = NULL;
    const char *refusal;

    if (letter->status == 503)
        return err_new(err, ENOENT, "writing %s: no such bucket", key);
    if (json_parse(letter->data, letter->len, ACK_MAX, &ack, err) < 0)
        return err_wrap(err, "writing %s: the server's answer", key);
    refusal = json_path_str(ack, "error.description");
    if (refusal || json_path(ack, "error"))
        return err_new(err, EPROTO, "writing %s: %s", key, refusal ? refusal : "refused");
    if (json_path_int(ack, "seq", 0) <= 0)
        return err_new(err, EPROTO, "writing %s: an answer that is no acknowledgement", key);
    return 0;
}

void bus_write_on_ack(struct bus *b, uint64_t id, const struct line_letter *letter)
{
    CLEANUP_ERR struct err *failure = NULL;
    struct bus_write *w;

    TAILQ_FOREACH(w, &b->writes, next)
    if (w->id == id)
        break;
    if (!w)
        return; /* too late: it failed already */
    parse_ack(letter, w->key, &failure);
    finish(b, w, failure);
}

void bus_write_fail_all(struct bus *b, const char *reason)
{
    uint64_t last = b->last_id; /* writes that `done` starts are not ours to fail */
    struct bus_write *w;

    while ((w = TAILQ_FIRST(&b->writes)) && w->id <= last) {
        CLEANUP_ERR struct err *failure = NULL;

        err_new(&failure, ENOTCONN, "writing %s: not acknowledged: %s", w->key, reason);
        finish(b, w, failure);
    }
}

void bus_write_drop_all(struct bus *b)
{
    struct bus_write *w;

    while ((w = TAILQ_FIRST(&b->writes))) {
        w->done = NULL;
        finish(b, w, NULL);
    }
}

static int send_deletion(struct bus *b, const char *subject, const char *reply, struct err **err)
{
    natsMsg *msg = NULL;
    natsStatus s;

    if (!b->up)
        return err_new(err, ENOTCONN, "not connected to %s", b->plan.url);
    s = natsMsg_Create(&msg, subject, reply, NULL, 0);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "KV-Operation", "DEL");
    if (s == NATS_OK)
        s = natsConnection_PublishMsg(line_connection(b->line), msg);
    natsMsg_Destroy(msg);
    return s == NATS_OK ? 0 : line_error(err, s, "publishing to %s", subject);
}

int bus_write(struct bus *b, const char *bucket, const char *key, const char *value, size_t len,
              void (*done)(const struct err *failure, void *userdata), void *userdata,
              struct err **err)
{
    CLEANUP_FREE char *subject = xasprintf("$KV.%s.%s", bucket, key), *reply = NULL;
    struct bus_write *w;
    int r;

    if (!b->loop)
        return err_new(err, EINVAL, "writing %s/%s: this bus has no loop", bucket, key);
    if (!b->up)
        return err_new(err, ENOTCONN, "writing %s/%s: not connected to %s", bucket, key,
                       b->plan.url);
    b->last_id++;
    reply = xasprintf("%s.r.w.%" PRIu64, line_inbox(b->line), b->last_id);
    r = value ? bus_send(b, subject, reply, value, len, err)
              : send_deletion(b, subject, reply, err);
    if (r < 0)
        return r;

    w = xcalloc(1, sizeof(*w));
    w->id = b->last_id;
    w->deadline_ms = clock_mono_ms() + DEADLINE_MS;
    w->key = xasprintf("%s/%s", bucket, key);
    w->done = done;
    w->userdata = userdata;
    TAILQ_INSERT_TAIL(&b->writes, w, next);
    if (TAILQ_FIRST(&b->writes) == w)
        watch_the_clock(b);
    return 0;
}
