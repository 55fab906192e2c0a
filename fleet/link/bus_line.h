/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Internal to the bus: one connection to NATS, from dialling to its end, and the letters that
 * nats.c's threads write about it to the loop.
 *
 * Theory of operation: a line is dialled by a thread of its own, because nats.c resolves names and
 * waits for the server in natsConnection_Connect(), and the loop must not. nats.c never reconnects
 * by itself here: every failure, also the one after which it would give up for good (two equal
 * authorisation errors), ends the line, and the bus dials a new one. Whatever lived on the old
 * one (subscriptions, consumers, unacknowledged writes) is gone with it, in one place.
 *
 * Answers arrive through one subscription to "<inbox>.r.>", the entries of each consumer through one
 * to exactly its deliver subject: nats-server delivers nothing to a wildcard alone.
 */

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "fleet/link/mailbox.h"

struct bus;
struct line;

enum line_event {
    LINE_UP,
    LINE_FAILED,    /* could not be dialled: `text` says why */
    LINE_DOWN,      /* was up, is no more */
    LINE_COMPLAINT, /* an asynchronous error, e.g. a permission violation; the line lives on */
    LINE_MESSAGE
};

struct line_letter {
    struct line *line;
    enum line_event event;
    int code;      /* errno of `text` */
    char *text;    /* reason */
    char *subject; /* of a message; */
    char *reply;   /* "" when there is none */
    char *data;    /* NUL-terminated */
    size_t len;
    int status;    /* of a status message (100 heartbeat, 503 no responders, ...); 0 otherwise */
    bool flow;     /* a status message that asks for an answer at `reply` */
    uint64_t last; /* of a heartbeat: the consumer's last delivery; 0 when it does not say */
    bool deleted;  /* a KV entry's deletion mark */
};

/* Everything that dialling needs; owns its strings. */
struct line_plan {
    char *url, *name, *user, *password, *ca_file;
};
void line_plan_done(struct line_plan *plan);

/* Dials in a thread and posts LINE_UP or LINE_FAILED; later LINE_DOWN. Letters are delivered to
 * bus_on_letter() while the line is not hung up. `plan` is copied. */
int line_dial(struct bus *b, struct mailbox *m, const struct line_plan *plan, struct line **ret,
              struct err **err);
/* Dials in the calling thread, for a bus without a loop: no letters. */
int line_dial_now(const struct line_plan *plan, struct line **ret, struct err **err);
/* Ends the line and drops the caller's hold on it. No letter is delivered any more. */
void line_hang_up(struct line *l);
DEFINE_CLEANUP(struct line *, line_hang_up)

/* NULL until it is up. */
natsConnection *line_connection(const struct line *l);
const char *line_inbox(const struct line *l);

/* Makes a subscription whose messages become letters. Destroy it with natsSubscription_Destroy(),
 * also after the line was hung up. */
int line_subscribe(struct line *l, const char *subject, natsSubscription **ret, struct err **err);

/* The errno that a status of nats.c means to us. */
int line_errno(natsStatus s);
/* err_new() with nats.c's text for `s` behind the context. */
int line_error(struct err **err, natsStatus s, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* In bus.c: on the loop's thread; frees nothing of the letter. */
void bus_on_letter(struct bus *b, struct line_letter *letter);
