/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/bus_line.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

#define CONNECT_TIMEOUT_MS 5000
#define WRITE_DEADLINE_MS 5000 /* a peer that does not read must not stop the loop for longer */
#define PING_INTERVAL_MS                                                                           \
    20000 /* two lost ones end the line: a dead network shows within a minute */

struct line {
    pthread_mutex_t lock;
    unsigned refs;           /* the bus, the dialling thread, nats.c's two closures, letters */
    struct bus *bus;         /* NULL once hung up: nobody reads letters any more */
    struct mailbox *mailbox; /* the same */
    bool up;                 /* LINE_UP was posted */
    bool closed;             /* nats.c called back */
    struct line_plan plan;
    char *inbox;
    natsConnection *nc;
    natsSubscription *sub;
};

void line_plan_done(struct line_plan *plan)
{
    free(plan->url);
    free(plan->name);
    free(plan->user);
    free(plan->password);
    free(plan->ca_file);
    *plan = (struct line_plan){ 0 };
}

int line_errno(natsStatus s)
{
    switch (s) {
    case NATS_TIMEOUT:
        return ETIMEDOUT;
    case NATS_NOT_FOUND:
        return ENOENT;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        return EACCES;
    case NATS_NO_SERVER:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_IO_ERROR:
        return ENOTCONN;
    case NATS_NO_RESPONDERS:
        return EAGAIN;
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
        return EINVAL;
    default:
        return EPROTO;
    }
}

/* Without the "(conn.c:2143): " that nats.c puts in front. */
static const char *without_place(const char *text)
{
    const char *end = text && *text == '(' ? strstr(text, "): ") : NULL;

    return end ? end + 3 : text;
}

int line_error(struct err **err, natsStatus s, const char *fmt, ...)
{
    CLEANUP_FREE char *what = NULL;
    natsStatus last = NATS_OK;
    const char *detail = without_place(nats_GetLastError(&last));
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (s == NATS_NO_RESPONDERS)
        detail = "the server offers no JetStream here";
    return err_new(err, line_errno(s), "%s: %s", what,
                   detail && *detail && (last == s || s == NATS_NO_RESPONDERS)
                           ? detail
                           : natsStatus_GetText(s));
}

/* --- lifetime ------------------------------------------------------------------------------- */

static struct line *hold(struct line *l)
{
    pthread_mutex_lock(&l->lock);
    l->refs++;
    pthread_mutex_unlock(&l->lock);
    return l;
}

static void drop(struct line *l)
{
    bool last;

    pthread_mutex_lock(&l->lock);
    last = --l->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&l->lock);
    line_plan_done(&l->plan);
    free(l->inbox);
    free(l);
}

static void destroy(natsSubscription *sub, natsConnection *nc)
{
    if (nc)
        natsConnection_Close(nc);
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
}

void line_hang_up(struct line *l)
{
    natsConnection *nc;
    natsSubscription *sub;

    pthread_mutex_lock(&l->lock);
    l->bus = NULL;
    l->mailbox = NULL;
    nc = steal_ptr(l->nc);
    sub = steal_ptr(l->sub);
    pthread_mutex_unlock(&l->lock);
    destroy(sub, nc);
    drop(l);
}

/* --- letters -------------------------------------------------------------------------------- */

static void letter_free(void *arg)
{
    struct line_letter *letter = arg;

    drop(letter->line);
    free(letter->text);
    free(letter->subject);
    free(letter->reply);
    free(letter->data);
    free(letter);
}

static void letter_deliver(void *arg)
{
    struct line_letter *letter = arg;

    /* Only the loop's thread hangs up, so this needs no lock. */
    if (letter->line->bus)
        bus_on_letter(letter->line->bus, letter);
    letter_free(letter);
}

/* With the lock held. Owns `letter`. */
static void post_locked(struct line *l, struct line_letter *letter)
{
    l->refs++;
    letter->line = l;
    mailbox_post(l->mailbox, letter_deliver, letter_free, letter);
}

static void post_text_locked(struct line *l, enum line_event event, int code, const char *text)
{
    struct line_letter *letter;

    if (!l->mailbox)
        return;
    letter = xcalloc(1, sizeof(*letter));
    letter->event = event;
    letter->code = code;
    letter->text = xstrdup(text);
    post_locked(l, letter);
}

/* --- nats.c's threads ----------------------------------------------------------------------- */

static void on_closed(natsConnection *nc, void *closure)
{
    struct line *l = closure;
    const char *detail = NULL;
    natsStatus s = natsConnection_GetLastError(nc, &detail);

    pthread_mutex_lock(&l->lock);
    l->closed = true;
    if (l->up)
        post_text_locked(l, LINE_DOWN, line_errno(s),
                         detail && *detail ? detail
                         : s != NATS_OK    ? natsStatus_GetText(s)
                                           : "the server closed the connection");
    pthread_mutex_unlock(&l->lock);
    drop(l);
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *closure)
{
    struct line *l = closure;
    const char *detail = NULL;

    (void)sub;
    natsConnection_GetLastError(nc, &detail);
    pthread_mutex_lock(&l->lock);
    if (l->up)
        post_text_locked(l, LINE_COMPLAINT, line_errno(s),
                         detail && *detail ? detail : natsStatus_GetText(s));
    pthread_mutex_unlock(&l->lock);
}

static void on_sub_complete(void *closure)
{
    drop(closure);
}

static const char *header(natsMsg *msg, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(msg, name, &value) == NATS_OK && value ? value : "";
}

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct line *l = closure;
    struct line_letter *letter = xcalloc(1, sizeof(*letter));
    const char *reply = natsMsg_GetReply(msg), *operation = header(msg, "KV-Operation");
    const char *stalled = header(msg, "Nats-Consumer-Stalled");

    (void)nc, (void)sub;
    letter->event = LINE_MESSAGE;
    letter->subject = xstrdup(natsMsg_GetSubject(msg));
    letter->len = (size_t)natsMsg_GetDataLength(msg);
    letter->data = xmalloc(letter->len + 1);
    if (letter->len)
        memcpy(letter->data, natsMsg_GetData(msg), letter->len);
    letter->data[letter->len] = '\0';
    letter->status = (int)strtol(header(msg, "Status"), NULL, 10);
    letter->text = xstrdup(header(msg, "Description"));
    /* A stalled consumer says so in its heartbeat and names where to answer. */
    letter->reply = xstrdup(*stalled ? stalled : reply ? reply : "");
    letter->last = strtoull(header(msg, "Nats-Last-Consumer"), NULL, 10);
    letter->flow = letter->status == 100 && *letter->reply;
    letter->deleted = str_eq(operation, "DEL") || str_eq(operation, "PURGE") ||
                      *header(msg, "Nats-Marker-Reason");
    natsMsg_Destroy(msg);

    pthread_mutex_lock(&l->lock);
    letter->line = l;
    l->refs++;
    if (l->mailbox)
        mailbox_post(l->mailbox, letter_deliver, letter_free, steal_ptr(letter));
    pthread_mutex_unlock(&l->lock);
    if (letter)
        letter_free(letter);
}

/* --- dialling ------------------------------------------------------------------------------- */

/* The host of "tls://host:port"; the certificate must be made out to it. */
static char *url_host(const char *url)
{
    const char *host = strstr(url, "://"), *at;
    size_t n;

    host = host ? host + 3 : url;
    at = strchr(host, '@');
    host = at ? at + 1 : host;
    if (*host == '[')
        return xstrndup(host + 1, strcspn(host + 1, "]"));
    n = strcspn(host, ":/,");
    return xstrndup(host, n);
}

static natsStatus set_options(natsOptions *o, struct line *l)
{
    const struct line_plan *plan = &l->plan;
    CLEANUP_FREE char *host = url_host(plan->url);
    bool tls = str_starts(plan->url, "tls://");
    natsStatus s = natsOptions_SetURL(o, plan->url);

    if (s == NATS_OK)
        s = natsOptions_SetName(o, plan->name);
    if (s == NATS_OK && plan->user)
        s = natsOptions_SetUserInfo(o, plan->user, plan->password ? plan->password : "");
    if (s == NATS_OK && tls)
        s = natsOptions_SetSecure(o, true);
    if (s == NATS_OK && tls)
        s = natsOptions_SetExpectedHostname(o, host);
    if (s == NATS_OK && tls && plan->ca_file)
        s = natsOptions_LoadCATrustedCertificates(o, plan->ca_file);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(o, WRITE_DEADLINE_MS);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
    if (s == NATS_OK) /* one thread delivers for all subscriptions, in the order of arrival */
        s = natsOptions_UseGlobalMessageDelivery(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(o, false);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(o, on_closed, l);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_error, l);
    return s;
}

static natsStatus subscribe(struct line *l, natsConnection *nc, const char *subject,
                            natsSubscription **ret)
{
    natsSubscription *sub = NULL;
    natsStatus s;

    hold(l); /* for on_sub_complete() */
    s = natsConnection_Subscribe(&sub, nc, subject, on_message, l);
    if (s == NATS_OK)
        s = natsSubscription_SetOnCompleteCB(sub, on_sub_complete, l);
    if (s != NATS_OK)
        drop(l);
    /* What arrives goes straight on to the mailbox; consumers are held back by flow control. */
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(sub, -1, -1);
    if (s != NATS_OK)
        natsSubscription_Destroy(steal_ptr(sub));
    *ret = sub;
    return s;
}

int line_subscribe(struct line *l, const char *subject, natsSubscription **ret, struct err **err)
{
    natsStatus s = subscribe(l, l->nc, subject, ret);

    return s == NATS_OK ? 0 : line_error(err, s, "subscribing to %s", subject);
}

/* Connects, and subscribes to the inbox when somebody reads letters. */
static int dial(struct line *l, bool letters, struct err **err)
{
    CLEANUP_FREE char *answers = xasprintf("%s.r.>", l->inbox);
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    natsStatus s = natsOptions_Create(&options);
    bool taken = false;

    if (s == NATS_OK)
        s = set_options(options, l);
    if (s == NATS_OK) {
        hold(l); /* for on_closed(), which a connection that stood calls once */
        s = natsConnection_Connect(&nc, options);
        if (s != NATS_OK)
            drop(l);
    }
    natsOptions_Destroy(options);
    if (s != NATS_OK)
        return line_error(err, s, "connecting to %s", l->plan.url);

    if (letters)
        s = subscribe(l, nc, answers, &sub);
    if (s != NATS_OK) {
        int r = line_error(err, s, "subscribing at %s", l->plan.url);

        destroy(sub, nc);
        return r;
    }

    pthread_mutex_lock(&l->lock);
    if (!l->closed) {
        l->nc = nc;
        l->sub = sub;
        taken = true;
    }
    pthread_mutex_unlock(&l->lock);
    if (taken)
        return 0;
    destroy(sub, nc);
    return err_new(err, ENOTCONN, "connecting to %s: the server closed the connection",
                   l->plan.url);
}

static void *dial_thread(void *arg)
{
    struct line *l = arg;
    CLEANUP_ERR struct err *failure = NULL;
    int r = dial(l, /* letters= */ true, &failure);
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;

    pthread_mutex_lock(&l->lock);
    if (!l->mailbox) { /* hung up meanwhile */
        nc = steal_ptr(l->nc);
        sub = steal_ptr(l->sub);
    } else if (r < 0) {
        post_text_locked(l, LINE_FAILED, err_code(failure), err_text(failure));
    } else if (l->closed) {
        post_text_locked(l, LINE_FAILED, ENOTCONN, "the server closed the connection");
    } else {
        l->up = true;
        post_text_locked(l, LINE_UP, 0, "");
    }
    pthread_mutex_unlock(&l->lock);
    destroy(sub, nc);
    drop(l);
    nats_ReleaseThreadMemory();
    return NULL;
}

static struct line *line_new(struct bus *b, struct mailbox *m, const struct line_plan *plan)
{
    struct line *l = xcalloc(1, sizeof(*l));
    natsInbox *inbox = NULL;

    pthread_mutex_init(&l->lock, NULL);
    l->refs = 1;
    l->bus = b;
    l->mailbox = m;
    l->plan.url = xstrdup(plan->url);
    l->plan.name = xstrdup(plan->name);
    l->plan.user = xstrdup(plan->user);
    l->plan.password = xstrdup(plan->password);
    l->plan.ca_file = xstrdup(plan->ca_file);
    if (natsInbox_Create(&inbox) != NATS_OK)
        abort();
    l->inbox = xstrdup(inbox);
    natsInbox_Destroy(inbox);
    return l;
}

int line_dial(struct bus *b, struct mailbox *m, const struct line_plan *plan, struct line **ret,
              struct err **err)
{
    struct line *l = line_new(b, m, plan);
    pthread_t thread;
    int r;

    hold(l);
    r = pthread_create(&thread, NULL, dial_thread, l);
    if (r) {
        drop(l);
        drop(l);
        return err_errno(err, r, "starting a thread");
    }
    pthread_detach(thread);
    *ret = l;
    return 0;
}

int line_dial_now(const struct line_plan *plan, struct line **ret, struct err **err)
{
    CLEANUP(line_hang_up) struct line *l = line_new(NULL, NULL, plan);
    int r = dial(l, /* letters= */ false, err);

    if (r < 0)
        return r;
    *ret = steal_ptr(l);
    return 0;
}

natsConnection *line_connection(const struct line *l)
{
    return l->nc;
}

const char *line_inbox(const struct line *l)
{
    return l->inbox;
}
