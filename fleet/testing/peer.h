/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * An HTTP server in a thread that says exactly what a test wants it to say: for the answers that a
 * proper server would not give. One request a connection, one connection at a time.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "fleet/link/http.h"

#define PEER_PIECES 4

struct peer_answer {
    const char *pieces[PEER_PIECES]; /* sent as they are, with a pause before each */
    int pause_ms;
    bool hang; /* keeps the connection open afterwards, until the client has gone */
};

struct peer {
    struct http_peer http; /* where it listens */
    struct buf requests;   /* all of them; look after peer_stop() */
    /* private */
    const struct peer_answer *answers;
    size_t n_answers;
    int fd, stop[2];
    pthread_t thread;
};

/* Answers the nth request with the nth of `answers`; the last one serves all later ones. On the
 * loopback, or at `unix_socket`. */
void peer_start(struct peer *p, const struct peer_answer *answers, size_t n_answers,
                const char *unix_socket);
void peer_stop(struct peer *p);
void peer_done(struct peer *p);
