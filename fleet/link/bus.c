/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A bus has one line at a time (bus_line.c) and three states: dialling, up, and
 * waiting to dial again. When a line fails or ends, every write that waits for its acknowledgement
 * fails, watches forget their consumers, and after a pause with jitter a new line is dialled; once
 * that is up, each watch makes a new consumer and so redoes its snapshot. Nothing survives a line, so
 * there is nothing that could stay silent for ever.
 *
 * Files: bus_write.c acknowledged writes, bus_watch.c watches, bus_sync.c the blocking calls.
 */

#include "fleet/link/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/bus_state.h"

#define RECONNECT_FIRST_MS 250
#define RECONNECT_MAX_MS 10000

int64_t bus_backoff_ms(unsigned attempt, int64_t first_ms, int64_t max_ms)
{
    int64_t ms = first_ms;

    while (attempt-- > 0 && ms < max_ms)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    return ms / 2 + arc4random_uniform((uint32_t)(ms / 2 + 1));
}

int bus_timer(struct bus *b, sd_event_source **timer, int64_t ms, sd_event_time_handler_t fn,
              void *userdata, struct err **err)
{
    uint64_t usec = (uint64_t)ms * 1000;
    int r;

    if (*timer) {
        r = sd_event_source_set_time_relative(*timer, usec);
        if (r >= 0)
            r = sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
    } else {
        r = sd_event_add_time_relative(b->loop, timer, CLOCK_MONOTONIC, usec, 0, fn, userdata);
    }
    return r < 0 ? err_errno(err, -r, "arming a timer") : 0;
}

static void dial(struct bus *b);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    dial(userdata);
    return 0;
}

/* There is no line: says so once per reason, and dials again after a while. */
static void lost(struct bus *b, const char *reason)
{
    CLEANUP_FREE char *why = xstrdup(reason);
    bool was_up = b->up;
    int64_t now = clock_mono_ms();

    if (b->line)
        line_hang_up(steal_ptr(b->line));
    b->up = false;
    /* A server that accepts and hangs up at once must not be dialled in a hurry. */
    if (was_up && now - b->up_since_ms >= b->reconnect_max_ms)
        b->attempts = 0;
    if (bus_timer(b, &b->retry,
                  bus_backoff_ms(b->attempts, RECONNECT_FIRST_MS, b->reconnect_max_ms), on_retry, b,
                  NULL) < 0)
        abort(); /* without it the daemon would be cut off for ever */
    b->attempts++;

    bus_watch_on_down(b);
    bus_write_fail_all(b, why);
    if (!was_up && str_eq(b->reason, why))
        return;
    replace_str(&b->reason, why);
    if (b->handler.disconnected)
        b->handler.disconnected(why, b->handler.userdata);
}

static void dial(struct bus *b)
{
    CLEANUP_ERR struct err *failure = NULL;

    replace_str(&b->complaint, NULL);
    if (line_dial(b, b->mailbox, &b->plan, &b->line, &failure) < 0)
        lost(b, err_text(failure));
}

static void on_up(struct bus *b)
{
    b->up = true;
    b->up_since_ms = clock_mono_ms();
    replace_str(&b->reason, NULL);
    bus_watch_on_up(b);
    if (b->handler.connected)
        b->handler.connected(b->handler.userdata);
}

/* Answers come to "<inbox>.r.<kind>.<id>", a consumer's status to "<inbox>.d.<id>"; entries keep
 * their own subject. */
static void on_message(struct bus *b, const struct line_letter *letter)
{
    const char *inbox = line_inbox(b->line), *rest = letter->subject;
    uint64_t id = 0;
    char kind = '\0';

    if (!str_starts(rest, inbox)) {
        bus_watch_on_entry(b, letter);
        return;
    }
    rest += strlen(inbox);
    if (sscanf(rest, ".d.%" SCNu64, &id) == 1)
        bus_watch_on_status(b, id, letter);
    else if (sscanf(rest, ".r.%c.%" SCNu64, &kind, &id) != 2)
        return;
    else if (kind == 'w')
        bus_write_on_ack(b, id, letter);
    else if (kind == 'c')
        bus_watch_on_created(b, id, letter);
}

void bus_on_letter(struct bus *b, struct line_letter *letter)
{
    switch (letter->event) {
    case LINE_UP:
        on_up(b);
        break;
    case LINE_FAILED:
    case LINE_DOWN:
        lost(b, letter->text);
        break;
    case LINE_COMPLAINT:
        replace_str(&b->complaint, letter->text);
        break;
    case LINE_MESSAGE:
        if (b->up)
            on_message(b, letter);
        break;
    }
}

int bus_send(struct bus *b, const char *subject, const char *reply, const void *data, size_t len,
             struct err **err)
{
    natsStatus s;

    if (!b->up)
        return err_new(err, ENOTCONN, "not connected to %s", b->plan.url);
    if (len > INT32_MAX)
        return err_new(err, EMSGSIZE, "%s: a message of %zu bytes", subject, len);
    if (reply)
        s = natsConnection_PublishRequest(line_connection(b->line), subject, reply, data, (int)len);
    else
        s = natsConnection_Publish(line_connection(b->line), subject, data, (int)len);
    return s == NATS_OK ? 0 : line_error(err, s, "publishing to %s", subject);
}

int bus_publish(struct bus *b, const char *subject, const char *data, size_t len, struct err **err)
{
    return bus_send(b, subject, NULL, data, len, err);
}

int bus_new(const struct bus_config *config, sd_event *loop, const struct bus_handler *handler,
            int64_t timeout_ms, struct bus **ret, struct err **err)
{
    CLEANUP(bus_free) struct bus *b = xcalloc(1, sizeof(*b));
    int64_t deadline = clock_mono_ms() + timeout_ms;
    int r;

    TAILQ_INIT(&b->writes);
    LIST_INIT(&b->watches);
    b->plan.url = xstrdup(config->url);
    b->plan.name = xstrdup(config->name ? config->name : "fleet");
    b->plan.user = xstrdup(config->user);
    b->plan.password = xstrdup(config->password);
    b->plan.ca_file = xstrdup(config->ca_file);
    b->reconnect_max_ms =
            config->reconnect_max_ms > 0 ? config->reconnect_max_ms : RECONNECT_MAX_MS;
    if (handler)
        b->handler = *handler;
    if (loop) {
        b->loop = sd_event_ref(loop);
        r = mailbox_new(loop, &b->mailbox, err);
        if (r >= 0)
            r = line_dial(b, b->mailbox, &b->plan, &b->line, err);
    } else {
        r = bus_sync_connect(b, deadline, err);
    }
    if (r < 0)
        return r;
    *ret = steal_ptr(b);
    return 0;
}

void bus_free(struct bus *b)
{
    if (!b)
        return;
    while (!LIST_EMPTY(&b->watches))
        bus_watch_free(LIST_FIRST(&b->watches));
    bus_write_drop_all(b);
    if (b->line)
        line_hang_up(b->line);
    mailbox_free(b->mailbox);
    sd_event_source_disable_unref(b->retry);
    sd_event_source_disable_unref(b->overdue);
    sd_event_unref(b->loop);
    line_plan_done(&b->plan);
    free(b->reason);
    free(b->complaint);
    free(b);
}

bool bus_connected(const struct bus *b)
{
    return b->up && !natsConnection_IsClosed(line_connection(b->line));
}
