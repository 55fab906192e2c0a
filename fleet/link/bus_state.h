/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Internal to the bus: what its files share. Everything here belongs to the loop's thread. */

#include <sys/queue.h>

#include "fleet/link/bus.h"
#include "fleet/link/bus_line.h"

struct bus_write;

struct bus {
    sd_event *loop; /* NULL: for blocking use */
    struct mailbox *mailbox;
    struct line_plan plan;
    struct bus_handler handler;
    int64_t reconnect_max_ms;

    struct line *line; /* being dialled, or up */
    bool up;
    int64_t up_since_ms;
    unsigned attempts; /* since the last line that lasted */
    char *reason;      /* why there is no line, as told last */
    char *complaint;   /* what the server refused last on this line */
    sd_event_source *retry;

    uint64_t last_id; /* numbers the writes and the consumers of all lines */
    TAILQ_HEAD(, bus_write) writes;
    sd_event_source *overdue;
    LIST_HEAD(, bus_watch) watches;
};

/* Exponential from `first_ms` to `max_ms`, with jitter: somewhere in the upper half. */
int64_t bus_backoff_ms(unsigned attempt, int64_t first_ms, int64_t max_ms);
/* Arms *timer (made at the first call) to call `fn` once in `ms`. */
int bus_timer(struct bus *b, sd_event_source **timer, int64_t ms, sd_event_time_handler_t fn,
              void *userdata, struct err **err);
/* Publishes on the line; `reply` may be NULL. ENOTCONN when there is none. */
int bus_send(struct bus *b, const char *subject, const char *reply, const void *data, size_t len,
             struct err **err);

/* bus_sync.c: dials until connected or `deadline_ms`; for a bus without a loop. */
int bus_sync_connect(struct bus *b, int64_t deadline_ms, struct err **err);

/* bus_write.c */
void bus_write_on_ack(struct bus *b, uint64_t id, const struct line_letter *letter);
/* All writes that wait fail, with `reason`. */
void bus_write_fail_all(struct bus *b, const char *reason);
/* Forgets them without calling back. */
void bus_write_drop_all(struct bus *b);

/* bus_watch.c */
void bus_watch_on_up(struct bus *b);
void bus_watch_on_down(struct bus *b);
/* The answer to a consumer's creation. */
void bus_watch_on_created(struct bus *b, uint64_t id, const struct line_letter *letter);
/* A heartbeat or flow control to consumer `id`. */
void bus_watch_on_status(struct bus *b, uint64_t id, const struct line_letter *letter);
/* An entry: the consumer's name is in the letter's reply subject. */
void bus_watch_on_entry(struct bus *b, const struct line_letter *letter);
