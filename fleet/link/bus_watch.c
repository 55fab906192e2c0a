/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A watch is an ephemeral push consumer of the bucket's stream that starts with
 * the last message of each subject. It is made by one request,
 * $JS.API.CONSUMER.CREATE.<stream>.<name>.<filter subject>, so that permissions can be given for just
 * that filter, and it is named after the client and a random number, so that it can be deleted again.
 * Protocol: docs.nats.io, "JetStream wire API", and ADR-8 (KV) and ADR-13 (flow control).
 *
 *   idle ---start---> creating ---answer---> following ---silence, gap, end of line---> idle
 *
 * Each entry's reply subject carries its place: $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.
 * <delivered>.<stream sequence>.<consumer sequence>.<stored, ns>.<pending>. The snapshot is whole
 * when nothing is pending, or when as many entries came as there were when the consumer was made
 * (a bucket that is written to without pause always has something pending).
 *
 * A watch never repairs a consumer: at a gap in the consumer sequence, without a heartbeat for too
 * long, or on any status that it does not know, it deletes the consumer and makes another, which
 * redoes the snapshot. The server removes a consumer that lost its line by itself after 5 s.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus_state.h"

#define HEARTBEAT_MS 5000
#define SILENCE_MS (2 * HEARTBEAT_MS + 2000)
#define CREATE_TIMEOUT_MS 5000
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 10000
#define ANSWER_MAX (64 * 1024)

enum watch_state { WATCH_IDLE, WATCH_CREATING, WATCH_FOLLOWING };

struct bus_watch {
    LIST_ENTRY(bus_watch) next;
    struct bus *b;
    char *bucket, *filter;
    struct bus_watch_handler handler;
    enum watch_state state;
    sd_event_source *timer; /* by state: when to start, give up waiting, look for silence */
    unsigned attempts;      /* since the last whole snapshot */
    char *trouble;          /* as told last */

    /* The present consumer. */
    uint64_t id;
    char *consumer;
    natsSubscription *sub;
    uint64_t sequence;        /* of its last entry */
    uint64_t total, received; /* of the snapshot; total is UINT64_MAX until the server said */
    bool in_snapshot;
    int64_t heard_ms;

    /* A callback may free the watch that calls it. */
    unsigned calling;
    bool freed;
};

static void destroy(struct bus_watch *w)
{
    sd_event_source_disable_unref(w->timer);
    free(w->bucket);
    free(w->filter);
    free(w->trouble);
    free(w->consumer);
    free(w);
}

/* Each calls the handler and returns false when that freed the watch. */
static bool called(struct bus_watch *w)
{
    if (--w->calling == 0 && w->freed) {
        destroy(w);
        return false;
    }
    return !w->freed;
}

static bool call_begin(struct bus_watch *w)
{
    w->in_snapshot = true;
    w->calling++;
    if (w->handler.begin)
        w->handler.begin(w->handler.userdata);
    return called(w);
}

static bool call_entry(struct bus_watch *w, const struct bus_entry *entry)
{
    w->calling++;
    if (w->handler.entry)
        w->handler.entry(entry, w->handler.userdata);
    return called(w);
}

static bool call_end(struct bus_watch *w)
{
    w->in_snapshot = false;
    w->attempts = 0;
    replace_str(&w->trouble, NULL);
    w->calling++;
    if (w->handler.end)
        w->handler.end(w->handler.userdata);
    return called(w);
}

/* Once for the same trouble until a snapshot is whole. */
static bool call_trouble(struct bus_watch *w, const struct err *trouble)
{
    if (str_eq(w->trouble, err_text(trouble)))
        return true;
    replace_str(&w->trouble, err_text(trouble));
    w->calling++;
    if (w->handler.trouble)
        w->handler.trouble(trouble, w->handler.userdata);
    return called(w);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void arm(struct bus_watch *w, int64_t ms)
{
    if (bus_timer(w->b, &w->timer, ms, on_timer, w, NULL) < 0)
        abort(); /* without it the watch could stay silent for ever */
}

/* --- making and deleting a consumer --------------------------------------------------------- */

static char *consumer_name(const struct bus *b, uint64_t id)
{
    CLEANUP_FREE char *client = xstrdup(b->plan.name);

    for (char *c = client; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *c))
            *c = '_';
    return xasprintf("%.64s-%08x-%" PRIu64, client, arc4random(), id);
}

static char *creation_text(const struct bus_watch *w, const char *deliver, const char *subject)
{
    CLEANUP_FREE char *stream = xasprintf("KV_%s", w->bucket);
    CLEANUP_JSON json_t *request = json_pack(
            "{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:I, s:b, s:i}}", "stream_name",
            stream, "config", "name", w->consumer, "deliver_policy", "last_per_subject",
            "deliver_subject", deliver, "filter_subject", subject, "ack_policy", "none",
            "replay_policy", "instant", "max_deliver", 1, "flow_control", 1, "idle_heartbeat",
            (json_int_t)HEARTBEAT_MS * 1000000, "mem_storage", 1, "num_replicas", 1);

    return json_text(request);
}

static void start(struct bus_watch *w)
{
    struct bus *b = w->b;
    CLEANUP_FREE char *subject = xasprintf("$KV.%s.%s", w->bucket, w->filter);
    CLEANUP_FREE char *api = NULL, *deliver = NULL, *reply = NULL, *request = NULL;

    w->id = ++b->last_id;
    free(w->consumer);
    w->consumer = consumer_name(b, w->id);
    w->sequence = w->received = 0;
    w->total = UINT64_MAX;
    w->in_snapshot = false;
    w->state = WATCH_CREATING;

    api = xasprintf("$JS.API.CONSUMER.CREATE.KV_%s.%s.%s", w->bucket, w->consumer, subject);
    deliver = xasprintf("%s.d.%" PRIu64, line_inbox(b->line), w->id);
    reply = xasprintf("%s.r.c.%" PRIu64, line_inbox(b->line), w->id);
    request = creation_text(w, deliver, subject);
    /* When this cannot be sent, the line's end or the timer starts again. */
    line_subscribe(b->line, deliver, &w->sub, NULL);
    bus_send(b, api, reply, request, strlen(request), NULL);
    arm(w, CREATE_TIMEOUT_MS);
}

static void forget_consumer(struct bus_watch *w)
{
    natsSubscription_Destroy(steal_ptr(w->sub));
    if (w->state != WATCH_IDLE && w->b->up) {
        CLEANUP_FREE char *api =
                xasprintf("$JS.API.CONSUMER.DELETE.KV_%s.%s", w->bucket, w->consumer);
        CLEANUP_FREE char *reply = xasprintf("%s.r.x.0", line_inbox(w->b->line));

        bus_send(w->b, api, reply, NULL, 0, NULL);
    }
    w->state = WATCH_IDLE;
}

/* Gives the present consumer up and makes another after a while. Owns `trouble`. */
static void start_over(struct bus_watch *w, struct err *trouble)
{
    CLEANUP_ERR struct err *why = trouble;

    forget_consumer(w);
    arm(w, bus_backoff_ms(w->attempts, RETRY_FIRST_MS, RETRY_MAX_MS));
    w->attempts++;
    call_trouble(w, why);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct bus_watch *w = userdata;
    struct err *trouble = NULL;
    int64_t silent;

    (void)source, (void)usec;
    if (!w->b->up)
        return 0;
    switch (w->state) {
    case WATCH_IDLE:
        start(w);
        break;
    case WATCH_CREATING:
        err_new(&trouble, ETIMEDOUT, "watching %s: no answer from the server%s%s", w->bucket,
                w->b->complaint ? ": " : "", w->b->complaint ? w->b->complaint : "");
        start_over(w, trouble);
        break;
    case WATCH_FOLLOWING:
        silent = clock_mono_ms() - w->heard_ms;
        if (silent < SILENCE_MS) {
            arm(w, SILENCE_MS - silent);
            break;
        }
        err_new(&trouble, ETIMEDOUT, "watching %s: no heartbeat for %d s", w->bucket,
                SILENCE_MS / 1000);
        start_over(w, trouble);
        break;
    }
    return 0;
}

/* --- what arrives --------------------------------------------------------------------------- */

static bool snapshot_is_whole(const struct bus_watch *w, uint64_t pending)
{
    return w->in_snapshot && (pending == 0 || w->received >= w->total);
}

static struct bus_watch *find(struct bus *b, uint64_t id)
{
    struct bus_watch *w;

    LIST_FOREACH(w, &b->watches, next)
    if (w->state != WATCH_IDLE && w->id == id)
        return w;
    return NULL;
}

/* How many entries the snapshot has. */
static int parse_created(const struct bus_watch *w, const struct line_letter *letter,
                         uint64_t *ret_total, struct err **err)
{
    CLEANUP_JSON json_t *answer = NULL;
    const char *refusal;

    if (letter->status == 503)
        return err_new(err, EAGAIN, "watching %s: the server offers no JetStream", w->bucket);
    if (json_parse(letter->data, letter->len, ANSWER_MAX, &answer, err) < 0)
        return err_wrap(err, "watching %s: the server's answer", w->bucket);
    refusal = json_path_str(answer, "error.description");
    if (refusal || json_path(answer, "error"))
        return err_new(err, json_path_int(answer, "error.code", 0) == 404 ? ENOENT : EPROTO,
                       "watching %s: %s", w->bucket, refusal ? refusal : "refused");
    /* Some may have been delivered before the answer was written. */
    *ret_total = (uint64_t)(json_path_int(answer, "num_pending", 0) +
                            json_path_int(answer, "delivered.consumer_seq", 0));
    return 0;
}

void bus_watch_on_created(struct bus *b, uint64_t id, const struct line_letter *letter)
{
    struct bus_watch *w = find(b, id);
    struct err *trouble = NULL;

    if (!w || w->total != UINT64_MAX)
        return;
    if (parse_created(w, letter, &w->total, &trouble) < 0) {
        start_over(w, trouble);
        return;
    }
    if (w->state == WATCH_CREATING) {
        w->state = WATCH_FOLLOWING;
        w->heard_ms = clock_mono_ms();
        arm(w, SILENCE_MS);
        if (!call_begin(w))
            return;
    }
    if (snapshot_is_whole(w, w->total))
        call_end(w);
}

void bus_watch_on_status(struct bus *b, uint64_t id, const struct line_letter *letter)
{
    struct bus_watch *w = find(b, id);
    struct err *trouble = NULL;

    if (!w)
        return;
    w->heard_ms = clock_mono_ms();
    if (letter->flow)
        bus_send(b, letter->reply, NULL, NULL, 0, NULL);
    if (letter->status != 100)
        err_new(&trouble, EPROTO, "watching %s: the server says %d %s", w->bucket, letter->status,
                letter->text);
    else if (letter->last > w->sequence)
        err_new(&trouble, EPROTO, "watching %s: entries were lost", w->bucket);
    if (trouble)
        start_over(w, trouble);
}

/* An entry's place, from its reply subject. */
struct place {
    char *consumer;
    uint64_t sequence, stored_ns, pending;
};

static bool number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

/* False when it is none. `tokens` keeps the strings. */
static bool parse_place(char **tokens, struct place *ret)
{
    size_t n = strv_len(tokens), stream = n == 9 ? 2 : 4;

    if (n != 9 && n < 11)
        return false;
    if (!str_eq(tokens[0], "$JS") || !str_eq(tokens[1], "ACK"))
        return false;
    ret->consumer = tokens[stream + 1];
    return number(tokens[stream + 4], &ret->sequence) &&
           number(tokens[stream + 5], &ret->stored_ns) && number(tokens[stream + 6], &ret->pending);
}

static struct bus_watch *find_consumer(struct bus *b, const char *name)
{
    struct bus_watch *w;

    LIST_FOREACH(w, &b->watches, next)
    if (w->state != WATCH_IDLE && str_eq(w->consumer, name))
        return w;
    return NULL;
}

static uint64_t revision(char **tokens)
{
    uint64_t value = 0;

    number(tokens[strv_len(tokens) == 9 ? 5 : 7], &value);
    return value;
}

void bus_watch_on_entry(struct bus *b, const struct line_letter *letter)
{
    CLEANUP_STRV char **tokens = strv_split(letter->reply, ".");
    struct bus_entry entry = { .value = letter->deleted ? NULL : letter->data };
    struct err *trouble = NULL;
    struct place place;
    struct bus_watch *w;
    size_t prefix;

    if (!parse_place(tokens, &place))
        return;
    w = find_consumer(b, place.consumer);
    if (!w)
        return;
    w->heard_ms = clock_mono_ms();
    if (place.sequence != w->sequence + 1) {
        err_new(&trouble, EPROTO, "watching %s: entries were lost", w->bucket);
        start_over(w, trouble);
        return;
    }
    w->sequence = place.sequence;
    if (w->state == WATCH_CREATING) { /* it came before the answer to the creation */
        w->state = WATCH_FOLLOWING;
        arm(w, SILENCE_MS);
        if (!call_begin(w))
            return;
    }
    w->received++;
    prefix = strlen("$KV.") + strlen(w->bucket) + 1;
    if (strlen(letter->subject) > prefix) {
        entry.key = letter->subject + prefix;
        entry.len = entry.value ? letter->len : 0;
        entry.revision = revision(tokens);
        entry.stored_ms = (int64_t)(place.stored_ns / 1000000);
        if (!call_entry(w, &entry))
            return;
    }
    if (snapshot_is_whole(w, place.pending))
        call_end(w);
}

/* --- lifetime ------------------------------------------------------------------------------- */

void bus_watch_on_up(struct bus *b)
{
    struct bus_watch *w;

    LIST_FOREACH(w, &b->watches, next)
    start(w);
}

void bus_watch_on_down(struct bus *b)
{
    struct bus_watch *w;

    LIST_FOREACH(w, &b->watches, next)
    {
        forget_consumer(w);
        sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
    }
}

int bus_watch_new(struct bus *b, const char *bucket, const char *filter,
                  const struct bus_watch_handler *handler, struct bus_watch **ret, struct err **err)
{
    struct bus_watch *w;

    if (!b->loop)
        return err_new(err, EINVAL, "watching %s: this bus has no loop", bucket);
    w = xcalloc(1, sizeof(*w));
    w->b = b;
    w->bucket = xstrdup(bucket);
    w->filter = xstrdup(filter);
    w->handler = *handler;
    LIST_INSERT_HEAD(&b->watches, w, next);
    if (b->up)
        start(w);
    *ret = w;
    return 0;
}

void bus_watch_free(struct bus_watch *w)
{
    if (!w || w->freed)
        return;
    forget_consumer(w);
    LIST_REMOVE(w, next);
    w->freed = true;
    if (w->calling == 0)
        destroy(w);
    else
        sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
}
