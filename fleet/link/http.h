/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * HTTP over libcurl: asynchronous on an sd-event loop (curl_multi_socket_action), and a blocking
 * call for programs without a loop. TCP with TLS, or a Unix socket. Every request has a deadline,
 * every body a cap. Single-threaded: all calls and callbacks on the loop's thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/err.h"

/* Where and as whom: shared by many requests, must outlive them. Strings are owned by the holder. */
struct http_peer {
    char *base_url;                    /* "https://127.0.0.1:6443", "http://d" for a Unix socket */
    char *unix_socket;                 /* path, or NULL */
    char *ca_pem, *cert_pem, *key_pem; /* in memory, or NULL */
    char *bearer;                      /* token, or NULL */
};
void http_peer_done(struct http_peer *peer);

struct http_request {
    const char *method;       /* "GET", ... */
    const char *path;         /* with query; appended to base_url */
    const char *content_type; /* of the body; NULL when there is none */
    const char *body;         /* copied when started */
    size_t body_len;
    int64_t timeout_ms; /* whole exchange; for a stream: longest silence. 0 is refused */
    size_t max_body;    /* cap on the answer, bytes; 0: 1 MiB. A stream's user caps what it keeps */
    /* Called last with the userdata of http_start() or http_stream(), however the transfer ended,
     * cancelling included; not when starting failed. NULL for none. */
    void (*release)(void *userdata);
};

struct http_response {
    long status;      /* HTTP status */
    const char *body; /* NUL-terminated, borrowed during the callback */
    size_t len;
};

struct http;          /* the multi handle on a loop */
struct http_transfer; /* one running request */

int http_new(sd_event *loop, struct http **ret, struct err **err);
void http_free(struct http *h); /* cancels what runs, without calling back */
DEFINE_CLEANUP(struct http *, http_free)
sd_event *http_loop(const struct http *h); /* borrowed */

/* Calls `done` exactly once from the loop: with a response (any status), or with `failure` when
 * there was none. Never calls back before it returned. */
int http_start(struct http *h, const struct http_peer *peer, const struct http_request *request,
               void (*done)(const struct http_response *response, const struct err *failure,
                            void *userdata),
               void *userdata, struct http_transfer **ret, struct err **err);
/* The same with the body delivered in pieces to `chunk` while it arrives (status 2xx only; the body
 * of another status is collected for `done`). A negative value from `chunk` ends the transfer. */
int http_stream(struct http *h, const struct http_peer *peer, const struct http_request *request,
                int (*chunk)(const char *data, size_t len, void *userdata),
                void (*done)(const struct http_response *response, const struct err *failure,
                             void *userdata),
                void *userdata, struct http_transfer **ret, struct err **err);
/* Stops a transfer; its callbacks are not called any more. NULL is fine. May be called from within
 * callbacks of other transfers. */
void http_cancel(struct http_transfer *t);

/* Blocking, without a loop. 0 with any HTTP status; the caller frees *ret_body. */
int http_call(const struct http_peer *peer, const struct http_request *request, long *ret_status,
              char **ret_body, size_t *ret_len, struct err **err);
