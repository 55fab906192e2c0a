/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/http.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "fleet/testing/peer.h"

/* --- what came of a request --------------------------------------------------------------- */

struct outcome {
    sd_event *loop;
    int done;
    long status;
    char *body;
    int failure;
    char *text;
    struct buf chunks;
    int n_chunks, chunk_result;
    struct http_transfer *victim; /* cancelled by the next callback */
};

static void outcome_init(struct outcome *o)
{
    *o = (struct outcome){ .chunks = BUF_INIT(1 << 20) };
    need_true(sd_event_new(&o->loop) >= 0);
}

static void outcome_done(struct outcome *o)
{
    sd_event_unref(o->loop);
    free(o->body);
    free(o->text);
    buf_done(&o->chunks);
}

static void on_done(const struct http_response *response, const struct err *failure, void *userdata)
{
    struct outcome *o = userdata;

    o->done++;
    if (response) {
        o->status = response->status;
        replace_str(&o->body, response->body);
    } else {
        o->failure = err_code(failure);
        replace_str(&o->text, err_text(failure));
    }
    sd_event_exit(o->loop, 0);
}

static int on_chunk(const char *data, size_t len, void *userdata)
{
    struct outcome *o = userdata;

    buf_add(&o->chunks, data, len);
    o->n_chunks++;
    if (o->victim) {
        http_cancel(o->victim);
        o->victim = NULL;
    }
    return o->chunk_result;
}

static const struct http_request get = {
    .method = "GET", .path = "/x?y=1", .timeout_ms = 400, .max_body = 100
};

static void run_start(struct peer *p, struct outcome *o, bool stream)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP(http_free) struct http *h = NULL;

    need_ok(http_new(o->loop, &h, &err), err);
    if (stream)
        need_ok(http_stream(h, &p->http, &get, on_chunk, on_done, o, NULL, &err), err);
    else
        need_ok(http_start(h, &p->http, &get, on_done, o, NULL, &err), err);
    check_int(o->done, 0); /* never before it returned */
    sd_event_loop(o->loop);
    check_int(o->done, 1);
}

/* --- tests -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct peer_answer script;
    int failure; /* errno; 0: an answer */
    long status;
    const char *text; /* of the body or of the error */
} answers[] = {
    { "a whole answer",
      { .pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } },
      0,
      200,
      "ok" },
    { "in pieces",
      { .pieces = { "HTTP/1.1 2", "01 Created\r\nContent-Le", "ngth: 2\r\n\r\no", "k" },
        .pause_ms = 20 },
      0,
      201,
      "ok" },
    { "chunked",
      { .pieces = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n",
                    "1\r\nk\r\n0\r\n\r\n" } },
      0,
      200,
      "ok" },
    { "no body", { .pieces = { "HTTP/1.1 204 No Content\r\n\r\n" } }, 0, 204, "" },
    { "another status",
      { .pieces = { "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope" } },
      0,
      404,
      "nope" },
    { "a redirect is not followed",
      { .pieces = { "HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n" } },
      0,
      302,
      "" },
    { "garbage", { .pieces = { "SSH-2.0-OpenSSH_9.2\r\n" } }, EPROTO, 0, "HTTP/0.9" },
    { "a bad status", { .pieces = { "HTTP/1.1 abc OK\r\n\r\n" } }, EPROTO, 0, "GET http://127" },
    { "truncated",
      { .pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok" } },
      ECONNRESET,
      0,
      "7 bytes missing" },
    { "nothing", { .pieces = { NULL } }, ECONNRESET, 0, "Empty reply" },
    { "too slow",
      { .pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok" }, .hang = true },
      ETIMEDOUT,
      0,
      "timed out" },
    { "too large",
      { .pieces = { "HTTP/1.1 200 OK\r\n\r\n0123456789012345678901234567890123456789"
                    "012345678901234567890123456789012345678901234567890123456789x" } },
      EMSGSIZE,
      0,
      "larger than 100 bytes" },
};

TEST(every_answer_good_or_bad_ends_in_one_result)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *body = NULL;
        struct outcome o;
        struct peer p;
        long status = 0;
        int r;

        check_case("%s", answers[i].name);
        outcome_init(&o);
        peer_start(&p, &answers[i].script, 1, NULL);
        run_start(&p, &o, false);
        check_int(o.failure, answers[i].failure);
        check_int(o.status, answers[i].status);
        check_has(o.failure ? o.text : o.body, answers[i].text);

        check_case("%s, blocking", answers[i].name);
        r = http_call(&p.http, &get, &status, &body, NULL, &err);
        check_int(-r, answers[i].failure);
        check_int(status, answers[i].status);
        check_has(r < 0 ? err_text(err) : body, answers[i].text);
        peer_stop(&p);
        peer_done(&p);
        outcome_done(&o);
    }
}

TEST(method_headers_and_body_go_out_as_given)
{
    static const struct peer_answer ok = {
        .pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
    };
    static const struct http_request patch = {
        .method = "PATCH",
        .path = "/a?b=c",
        .content_type = "application/merge-patch+json",
        .body = "{\"a\":1}",
        .body_len = 7,
        .timeout_ms = 1000,
    };
    CLEANUP_ERR struct err *err = NULL;
    struct peer p;

    peer_start(&p, &ok, 1, NULL);
    p.http.bearer = xstrdup("sesame");
    check_ok(http_call(&p.http, &patch, NULL, NULL, NULL, &err), err);
    peer_stop(&p);
    check_has(buf_str(&p.requests), "PATCH /a?b=c HTTP/1.1\r\n");
    check_has(buf_str(&p.requests), "Content-Type: application/merge-patch+json\r\n");
    check_has(buf_str(&p.requests), "Authorization: Bearer sesame\r\n");
    check_has(buf_str(&p.requests), "Content-Length: 7\r\n");
    check_true(!strstr(buf_str(&p.requests), "Expect"));
    check_has(buf_str(&p.requests), "\r\n\r\n{\"a\":1}");
    peer_done(&p);
}

TEST(a_unix_socket_serves_and_its_absence_is_told)
{
    static const struct peer_answer ok = {
        .pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" }
    };
    CLEANUP_FREE char *path = xasprintf("%s/s", check_tmpdir());
    struct http_peer nobody = { .base_url = (char *)"http://d",
                                .unix_socket = (char *)"/nowhere/s" };
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *body = NULL;
    struct peer p;

    peer_start(&p, &ok, 1, path);
    check_ok(http_call(&p.http, &get, NULL, &body, NULL, &err), err);
    check_str(body, "ok");
    peer_stop(&p);
    check_int(http_call(&nobody, &get, NULL, NULL, NULL, &err), -ENOENT);
    nobody.unix_socket = path; /* the socket is still there, nobody listens */
    check_int(http_call(&nobody, &get, NULL, NULL, NULL, &err), -ECONNREFUSED);
    peer_done(&p);
}

TEST(a_closed_port_is_refused_and_a_request_needs_a_deadline)
{
    struct http_peer nobody = { .base_url = (char *)"http://127.0.0.1:1" };
    struct http_request forever = get;
    CLEANUP_ERR struct err *err = NULL;

    check_int(http_call(&nobody, &get, NULL, NULL, NULL, &err), -ECONNREFUSED);
    forever.timeout_ms = 0;
    check_int(http_call(&nobody, &forever, NULL, NULL, NULL, &err), -EINVAL);
    check_has(err_text(err), "without a deadline");
}

TEST(a_stream_delivers_pieces_as_they_come)
{
    static const struct peer_answer script = {
        .pieces = { "HTTP/1.1 200 OK\r\n\r\n", "one ", "two ", "three" },
        .pause_ms = 250,
    };
    struct outcome o;
    struct peer p;

    /* Longer in all than the request's time-out, never as silent. */
    outcome_init(&o);
    peer_start(&p, &script, 1, NULL);
    run_start(&p, &o, true);
    check_int(o.failure, 0);
    check_int(o.status, 200);
    check_str(buf_str(&o.chunks), "one two three");
    check_int(o.n_chunks, 3);
    peer_stop(&p);
    peer_done(&p);
    outcome_done(&o);
}

TEST(a_stream_that_falls_silent_ends)
{
    static const struct peer_answer script = { .pieces = { "HTTP/1.1 200 OK\r\n\r\none" },
                                               .hang = true };
    struct outcome o;
    struct peer p;

    outcome_init(&o);
    peer_start(&p, &script, 1, NULL);
    run_start(&p, &o, true);
    check_int(o.failure, ETIMEDOUT);
    check_has(o.text, "nothing came for 400 ms");
    check_str(buf_str(&o.chunks), "one");
    peer_stop(&p);
    peer_done(&p);
    outcome_done(&o);
}

TEST(a_refused_stream_gives_its_answer_to_done)
{
    static const struct peer_answer script = {
        .pieces = { "HTTP/1.1 410 Gone\r\nContent-Length: 7\r\n\r\nexpired" },
    };
    struct outcome o;
    struct peer p;

    outcome_init(&o);
    peer_start(&p, &script, 1, NULL);
    run_start(&p, &o, true);
    check_int(o.status, 410);
    check_str(o.body, "expired");
    check_int(o.n_chunks, 0);
    peer_stop(&p);
    peer_done(&p);
    outcome_done(&o);
}

TEST(a_chunk_that_is_not_understood_ends_the_stream)
{
    static const struct peer_answer script = { .pieces = { "HTTP/1.1 200 OK\r\n\r\n?" },
                                               .hang = true };
    struct outcome o;
    struct peer p;

    outcome_init(&o);
    o.chunk_result = -EBADMSG;
    peer_start(&p, &script, 1, NULL);
    run_start(&p, &o, true);
    check_int(o.failure, EBADMSG);
    peer_stop(&p);
    peer_done(&p);
    outcome_done(&o);
}

static int stop_loop(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec, (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

TEST(a_stream_may_be_cancelled_from_its_own_callback_and_from_anothers)
{
    static const struct peer_answer script = { .pieces = { "HTTP/1.1 200 OK\r\n\r\none" },
                                               .hang = true };
    static const char *const names[] = { "its own", "another's" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP(http_free) struct http *h = NULL;
        struct outcome first, second;
        struct http_transfer *t1, *t2;
        struct peer p, q;

        check_case("%s", names[i]);
        outcome_init(&first);
        outcome_init(&second);
        peer_start(&p, &script, 1, NULL);
        peer_start(&q, &script, 1, NULL);
        need_ok(http_new(first.loop, &h, &err), err);
        need_ok(http_stream(h, &p.http, &get, on_chunk, on_done, &first, &t1, &err), err);
        need_ok(http_stream(h, &q.http, &get, on_chunk, on_done, &second, &t2, &err), err);
        first.victim = i == 0 ? t1 : t2;
        need_true(sd_event_add_time_relative(first.loop, NULL, CLOCK_MONOTONIC, 200000, 1000,
                                             stop_loop, NULL) >= 0);
        sd_event_loop(first.loop);
        check_int(first.n_chunks, 1);
        check_int(first.done, 0);
        check_int(second.done, 0);
        http_free(steal_ptr(h)); /* cancels the rest */
        check_int(second.done, 0);
        peer_stop(&p);
        peer_stop(&q);
        peer_done(&p);
        peer_done(&q);
        outcome_done(&first);
        outcome_done(&second);
    }
}

CHECK_MAIN()
