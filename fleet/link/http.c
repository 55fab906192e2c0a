/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. libcurl's multi handle tells which sockets to watch and when to wake; both
 * become event sources of the loop. libcurl forbids most calls from within its callbacks, so ours
 * only collect: a transfer gathers its answer (a stream: what arrived in this turn), and when
 * libcurl has returned, deliver() hands everything to the users. They may therefore start and cancel
 * whatever they like from their callbacks, the running transfer included.
 */

#include "fleet/link/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/pem_files.h"

#define MAX_BODY_DEFAULT (1 << 20)
#define CONNECTIONS_KEPT 64 /* busy ones count too, so more than what one host may have */
#define HOST_CONNECTIONS 32 /* what is started beyond that waits for its turn */
/* What libcurl may hand over in one turn of the loop; it stops at a few hundred KiB by itself. */
#define STREAM_TURN_MAX (4 << 20)

struct http_transfer {
    struct http *http; /* NULL in http_call() */
    CURL *easy;
    struct curl_slist *headers;
    char *what; /* "GET https://...", without the query, for errors */
    char curl_text[CURL_ERROR_SIZE];
    struct buf body;
    size_t max_body;

    int (*chunk)(const char *data, size_t len, void *userdata); /* NULL: not a stream */
    void (*done)(const struct http_response *response, const struct err *failure, void *userdata);
    void (*release)(void *userdata);
    void *userdata;

    int64_t silence_ms; /* stream: the longest silence that is allowed */
    sd_event_source *silence;
    int refused; /* what `chunk` returned when it did not want more */

    bool finished;
    CURLcode result;
    bool calling, cancelled; /* within a callback of this transfer; to be freed after it */
    bool queued;             /* in `ready` */
    TAILQ_ENTRY(http_transfer) link, ready_link;
};

TAILQ_HEAD(transfers, http_transfer);

struct http {
    sd_event *loop;
    CURLM *multi;
    sd_event_source *timer;
    struct pem_files pems;
    struct transfers all;
    struct transfers ready; /* those with something to deliver */
};

void http_peer_done(struct http_peer *peer)
{
    free(peer->base_url);
    free(peer->unix_socket);
    free(peer->ca_pem);
    free(peer->cert_pem);
    if (peer->key_pem)
        explicit_bzero(peer->key_pem, strlen(peer->key_pem));
    free(peer->key_pem);
    if (peer->bearer)
        explicit_bzero(peer->bearer, strlen(peer->bearer));
    free(peer->bearer);
    *peer = (struct http_peer){ 0 };
}

/* --- one transfer ------------------------------------------------------------------------- */

static int set_tls(CURL *easy, struct pem_files *files, const struct http_peer *peer,
                   struct err **err)
{
    const struct {
        CURLoption option;
        const char *pem;
    } table[] = {
        { CURLOPT_CAINFO, peer->ca_pem },
        { CURLOPT_SSLCERT, peer->cert_pem },
        { CURLOPT_SSLKEY, peer->key_pem },
    };
    char path[PEM_PATH_MAX];

    /* An authority of our own is the only one: the system's would vouch for anybody (and take
     * 100 ms to load for each connection). */
    if (peer->ca_pem)
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!table[i].pem)
            continue;
        if (pem_files_path(files, table[i].pem, path, err) < 0)
            return -EIO;
        curl_easy_setopt(easy, table[i].option, path);
    }
    return 0;
}

static void make_ready(struct http_transfer *t)
{
    if (t->queued || !t->http)
        return;
    t->queued = true;
    TAILQ_INSERT_TAIL(&t->http->ready, t, ready_link);
}

static bool is_success(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static void was_heard(struct http_transfer *t)
{
    if (t->silence)
        sd_event_source_set_time_relative(t->silence, (uint64_t)t->silence_ms * 1000);
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
    (void)data, (void)size;
    was_heard(userdata);
    return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
    struct http_transfer *t = userdata;

    (void)size; /* always 1 */
    buf_add(&t->body, data, n);
    if (t->body.overflow)
        return CURL_WRITEFUNC_ERROR;
    was_heard(t);
    if (t->chunk && is_success(t->easy))
        make_ready(t);
    return n;
}

static void transfer_free(struct http_transfer *t)
{
    if (!t)
        return;
    if (t->http) {
        TAILQ_REMOVE(&t->http->all, t, link);
        if (t->queued)
            TAILQ_REMOVE(&t->http->ready, t, ready_link);
        curl_multi_remove_handle(t->http->multi, t->easy);
    }
    sd_event_source_disable_unref(t->silence);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    buf_done(&t->body);
    free(t->what);
    if (t->release)
        t->release(t->userdata);
    free(t);
}
DEFINE_CLEANUP(struct http_transfer *, transfer_free)

static bool is_local(const struct http_peer *peer)
{
    static const char *const prefixes[] = { "http://127.",       "https://127.", "http://localhost",
                                            "https://localhost", "http://[::1]", "https://[::1]" };

    if (peer->unix_socket)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(peer->base_url, prefixes[i]))
            return true;
    return false;
}

static void add_header(struct http_transfer *t, const char *header)
{
    struct curl_slist *more = curl_slist_append(t->headers, header);

    if (!more)
        abort();
    t->headers = more;
}

static void set_method_and_body(struct http_transfer *t, const struct http_request *request)
{
    const char *method = request->method;

    if (str_eq(method, "HEAD"))
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
    if (request->body || str_eq(method, "POST") || str_eq(method, "PUT") ||
        str_eq(method, "PATCH")) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
        add_header(t, "Expect:"); /* no round trip before the body */
    }
    /* With no value, libcurl leaves out the one that it would add. */
    add_header(t, "Accept: application/json");
    if (request->content_type) {
        CLEANUP_FREE char *header = xasprintf("Content-Type: %s", request->content_type);
        add_header(t, header);
    } else {
        add_header(t, "Content-Type:");
    }
}

static int transfer_new(struct pem_files *files, const struct http_peer *peer,
                        const struct http_request *request, struct http_transfer **ret,
                        struct err **err)
{
    CLEANUP(transfer_free) struct http_transfer *t = NULL;
    CLEANUP_FREE char *url = xasprintf("%s%s", peer->base_url, request->path);
    CURL *easy;

    if (request->timeout_ms <= 0)
        return err_new(err, EINVAL, "%s %s: a request without a deadline", request->method, url);

    t = xcalloc(1, sizeof(*t));
    t->easy = easy = curl_easy_init();
    if (!easy)
        abort();
    t->what = xasprintf("%s %.*s", request->method, (int)strcspn(url, "?"), url);
    t->max_body = request->max_body ? request->max_body : MAX_BODY_DEFAULT;
    t->body = BUF_INIT(t->max_body);

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "fleetrig/" FLEETRIG_VERSION);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    /* A peer that vanished without a word is noticed within a minute. */
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPCNT, 3L);
    if (is_local(peer))
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (peer->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, peer->unix_socket);
    if (peer->bearer) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, peer->bearer);
    }
    if (set_tls(easy, files, peer, err) < 0)
        return err_wrap(err, "%s", t->what);
    set_method_and_body(t, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    *ret = steal_ptr(t);
    return 0;
}

/* --- how it ended ------------------------------------------------------------------------- */

static int errno_of(CURLcode code, long os_errno)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
        return os_errno > 0 ? (int)os_errno : ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return EHOSTUNREACH;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return ECONNRESET;
    case CURLE_URL_MALFORMAT:
        return EINVAL;
    default:
        return EPROTO;
    }
}

static void failure_of(const struct http_transfer *t, struct err **err)
{
    const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(t->result);
    long os_errno = 0;

    if (t->refused < 0) {
        err_new(err, -t->refused, "%s: the answer was not understood", t->what);
        return;
    }
    if (t->body.overflow) {
        err_new(err, EMSGSIZE, "%s: the answer is larger than %zu bytes", t->what, t->max_body);
        return;
    }
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    err_new(err, errno_of(t->result, os_errno), "%s: %s", t->what, text);
}

/* Calls one callback of `t`; false when `t` is gone afterwards. */
static bool call_chunk(struct http_transfer *t)
{
    struct buf piece = t->body;

    t->body = BUF_INIT(STREAM_TURN_MAX);
    t->calling = true;
    t->refused = t->chunk(buf_str(&piece), piece.len, t->userdata);
    t->calling = false;
    buf_done(&piece);
    if (t->cancelled) {
        transfer_free(t);
        return false;
    }
    return true;
}

static void call_done(struct http_transfer *t)
{
    CLEANUP_ERR struct err *failure = NULL;
    struct http_response response = { .body = buf_str(&t->body), .len = t->body.len };

    t->calling = true;
    if (t->result != CURLE_OK || t->refused < 0) {
        failure_of(t, &failure);
        t->done(NULL, failure, t->userdata);
    } else {
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &response.status);
        t->done(&response, NULL, t->userdata);
    }
    transfer_free(t);
}

/* Outside of libcurl: gives the users what was collected. */
static void deliver(struct http *h)
{
    struct http_transfer *t;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(h->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        t->finished = true;
        t->result = message->data.result;
        make_ready(t);
    }
    while ((t = TAILQ_FIRST(&h->ready))) {
        TAILQ_REMOVE(&h->ready, t, ready_link);
        t->queued = false;
        if (t->chunk && t->body.len && is_success(t->easy) && !call_chunk(t))
            continue;
        if (t->finished || t->refused < 0)
            call_done(t);
    }
}

/* --- the loop ----------------------------------------------------------------------------- */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct http *h = userdata;
    int mask = (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
               (revents & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (revents & EPOLLERR ? CURL_CSELECT_ERR : 0);
    int running;

    (void)source;
    curl_multi_socket_action(h->multi, fd, mask, &running);
    deliver(h);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_userdata)
{
    struct http *h = userdata;
    sd_event_source *source = socket_userdata;
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        curl_multi_assign(h->multi, fd, NULL);
        return 0;
    }
    if (source)
        return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
    if (sd_event_add_io(h->loop, &source, fd, events, on_io, h) < 0)
        return -1;
    curl_multi_assign(h->multi, fd, source);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct http *h = userdata;
    int running;

    (void)source, (void)usec;
    curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    deliver(h);
    return 0;
}

static int on_set_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    struct http *h = userdata;

    (void)multi;
    if (timeout_ms < 0)
        return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time_relative(h->timer, (uint64_t)timeout_ms * 1000) < 0)
        return -1;
    return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct http_transfer *t = userdata;

    (void)source, (void)usec;
    curl_multi_remove_handle(t->http->multi, t->easy);
    snprintf(t->curl_text, sizeof(t->curl_text), "nothing came for %jd ms",
             (intmax_t)t->silence_ms);
    t->finished = true;
    t->result = CURLE_OPERATION_TIMEDOUT;
    make_ready(t);
    deliver(t->http);
    return 0;
}

int http_new(sd_event *loop, struct http **ret, struct err **err)
{
    CLEANUP(http_free) struct http *h = xcalloc(1, sizeof(*h));
    int r;

    TAILQ_INIT(&h->all);
    TAILQ_INIT(&h->ready);
    pem_files_init(&h->pems);
    h->loop = sd_event_ref(loop);
    r = sd_event_add_time_relative(loop, &h->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, h);
    if (r >= 0)
        r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
    if (r < 0)
        return err_errno(err, -r, "adding a timer to the loop");
    h->multi = curl_multi_init();
    if (!h->multi)
        abort();
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS);
    *ret = steal_ptr(h);
    return 0;
}

sd_event *http_loop(const struct http *h)
{
    return h->loop;
}

void http_free(struct http *h)
{
    struct http_transfer *t;

    if (!h)
        return;
    while ((t = TAILQ_FIRST(&h->all)))
        transfer_free(t);
    /* Closing idle connections still calls back for their sockets and the timer. */
    curl_multi_cleanup(h->multi);
    sd_event_source_disable_unref(h->timer);
    sd_event_unref(h->loop);
    pem_files_done(&h->pems);
    free(h);
}

/* --- starting and stopping ---------------------------------------------------------------- */

static int start(struct http *h, const struct http_peer *peer, const struct http_request *request,
                 int (*chunk)(const char *data, size_t len, void *userdata),
                 void (*done)(const struct http_response *response, const struct err *failure,
                              void *userdata),
                 void *userdata, struct http_transfer **ret, struct err **err)
{
    struct http_transfer *t = NULL;
    CURLMcode code;
    int r;

    r = transfer_new(&h->pems, peer, request, &t, err);
    if (r < 0)
        return r;
    t->http = h;
    TAILQ_INSERT_TAIL(&h->all, t, link);
    t->chunk = chunk;
    t->done = done;
    t->userdata = userdata;
    if (chunk) {
        t->body.max = STREAM_TURN_MAX;
        t->silence_ms = request->timeout_ms;
        r = sd_event_add_time_relative(h->loop, &t->silence, CLOCK_MONOTONIC,
                                       (uint64_t)t->silence_ms * 1000, 100000, on_silence, t);
        if (r < 0) {
            transfer_free(t);
            return err_errno(err, -r, "adding a timer to the loop");
        }
    } else {
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    }
    code = curl_multi_add_handle(h->multi, t->easy);
    if (code != CURLM_OK) {
        r = err_new(err, EIO, "%s: %s", t->what, curl_multi_strerror(code));
        transfer_free(t);
        return r;
    }
    t->release = request->release;
    if (ret)
        *ret = t;
    return 0;
}

int http_start(struct http *h, const struct http_peer *peer, const struct http_request *request,
               void (*done)(const struct http_response *response, const struct err *failure,
                            void *userdata),
               void *userdata, struct http_transfer **ret, struct err **err)
{
    return start(h, peer, request, NULL, done, userdata, ret, err);
}

int http_stream(struct http *h, const struct http_peer *peer, const struct http_request *request,
                int (*chunk)(const char *data, size_t len, void *userdata),
                void (*done)(const struct http_response *response, const struct err *failure,
                             void *userdata),
                void *userdata, struct http_transfer **ret, struct err **err)
{
    return start(h, peer, request, chunk, done, userdata, ret, err);
}

void http_cancel(struct http_transfer *t)
{
    if (!t)
        return;
    if (t->calling)
        t->cancelled = true; /* freed when its callback returns */
    else
        transfer_free(t);
}

int http_call(const struct http_peer *peer, const struct http_request *request, long *ret_status,
              char **ret_body, size_t *ret_len, struct err **err)
{
    CLEANUP_PEM_FILES struct pem_files files;
    CLEANUP(transfer_free) struct http_transfer *t = NULL;
    CLEANUP_ERR struct err *failure = NULL;
    int r;

    pem_files_init(&files);
    r = transfer_new(&files, peer, request, &t, err);
    if (r < 0)
        return r;
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    t->result = curl_easy_perform(t->easy);
    if (t->result != CURLE_OK) {
        failure_of(t, &failure);
        return err_new(err, err_code(failure), "%s", err_text(failure));
    }
    if (ret_status)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, ret_status);
    if (ret_len)
        *ret_len = t->body.len;
    if (ret_body)
        *ret_body = buf_steal(&t->body);
    return 0;
}
