/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. A list is in one of three states: LISTING (pages of the collection are
 * fetched, one after the other), WATCHING (a stream of events that starts at the resourceVersion of
 * the list) or RESTING (a timer runs until the next try). Bookmarks keep the resourceVersion fresh,
 * so that a watch which broke, or which the API server ended after its time, resumes where it
 * stopped. 410 Gone says that the server has forgotten that version: then everything is listed
 * again, and so it is when the server refuses to watch for any other reason twice in a row. Any trouble is told once per try, and the pause between tries doubles, with jitter, until
 * a try bears fruit.
 *
 *     LISTING --last page--> WATCHING --ended, broken--> WATCHING (after a rest when it was fruitless)
 *        ^                      |
 *        +------- 410 ----------+
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/kube_internal.h"

#define PAGE 500
#define REST_MIN_MS 200
#define REST_MAX_MS 30000
/* The server ends a watch after about five minutes; bookmarks come about every minute. */
#define WATCH_S 300
#define WATCH_SILENCE_MS ((WATCH_S + 30) * 1000)
/* A watch that ends sooner without an event was fruitless: resuming at once would be a busy loop. */
#define WATCH_SHORT_MS 1000
#define REFUSALS_MAX 2
/* One event: an object is 1.5 MiB at most in etcd. */
#define EVENT_MAX (4 << 20)

struct kube_list {
    struct http *http;
    struct kube *kube;
    char *path;
    struct kube_list_handler handler;

    struct http_transfer *transfer;
    sd_event_source *timer;
    bool listed;            /* a list is whole: watch */
    bool began;             /* SYNC_BEGIN was said, SYNC_END was not */
    char *resource_version; /* where the watch starts */
    char *more;             /* `continue` token of the next page, or NULL */
    struct buf line;        /* stream: an event that has not arrived wholly */
    bool fruitful;          /* the running watch brought an event */
    int refusals;           /* watches in a row that the server answered with an error */
    int64_t watch_start_ms;
    int64_t rest_ms;
    struct err *watch_error; /* an ERROR event */
};

static void next_step(struct kube_list *l);

static void tell(struct kube_list *l, enum kube_event event, const json_t *object)
{
    l->handler.event(event, object, NULL, l->handler.userdata);
}

/* Half of the pause and up to as much again: many clients do not come back as one. */
static int64_t jittered(int64_t ms)
{
    uint32_t random = 0;

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    return ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
}

static void rest(struct kube_list *l, int64_t ms)
{
    sd_event_source_set_time_relative(l->timer, (uint64_t)ms * 1000);
    sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

static void forget_version(struct kube_list *l)
{
    l->listed = false;
    free(steal_ptr(l->more));
    free(steal_ptr(l->resource_version));
}

static void on_trouble(struct kube_list *l, const struct err *trouble)
{
    bool expired = err_code(trouble) == ESTALE;

    /* A page may also expire: its `continue` token lives for about five minutes. */
    if (expired || !l->listed)
        forget_version(l);
    if (!expired || l->rest_ms > REST_MIN_MS)
        l->handler.event(KUBE_TROUBLE, NULL, trouble, l->handler.userdata);
    rest(l, jittered(l->rest_ms));
    l->rest_ms = l->rest_ms * 2 < REST_MAX_MS ? l->rest_ms * 2 : REST_MAX_MS;
}

/* --- listing ------------------------------------------------------------------------------ */

static void take_page(struct kube_list *l, const json_t *page)
{
    const json_t *items = json_object_get(page, "items"), *item;
    const char *more = json_path_str(page, "metadata.continue");
    size_t i;

    if (!l->began)
        tell(l, KUBE_SYNC_BEGIN, NULL);
    l->began = true;
    json_array_foreach(items, i, item) tell(l, KUBE_PUT, item);

    replace_str(&l->resource_version, json_path_str(page, "metadata.resourceVersion"));
    replace_str(&l->more, more && *more ? more : NULL);
    if (!l->more) {
        l->listed = true;
        l->began = false;
        l->refusals = 0;
        l->rest_ms = REST_MIN_MS;
        tell(l, KUBE_SYNC_END, NULL);
    }
}

static void on_page(const json_t *page, const struct err *failure, void *userdata)
{
    struct kube_list *l = userdata;
    CLEANUP_ERR struct err *err = NULL;

    l->transfer = NULL;
    if (!failure && (!json_is_array(json_object_get(page, "items")) ||
                     !json_path_str(page, "metadata.resourceVersion"))) {
        err_new(&err, EPROTO, "listing %s: the answer is not a list", l->path);
        failure = err;
    }
    if (failure) {
        l->began = false; /* the next try begins anew */
        on_trouble(l, failure);
        return;
    }
    take_page(l, page);
    next_step(l);
}

static int start_page(struct kube_list *l, struct err **err)
{
    CLEANUP_FREE char *token = NULL, *path = NULL;

    if (l->more) {
        CLEANUP_BUF struct buf escaped = BUF_INIT(64 << 10);

        for (const char *c = l->more; *c; c++)
            buf_addf(&escaped, "%%%02X", (unsigned char)*c);
        token = buf_steal(&escaped);
    }
    path = xasprintf("%s?limit=%d%s%s", l->path, PAGE, token ? "&continue=" : "",
                     token ? token : "");
    return kube_start(l->http, l->kube, "GET", path, NULL, NULL, on_page, l, &l->transfer, err);
}

/* --- watching ----------------------------------------------------------------------------- */

static int take_event(struct kube_list *l, const char *text, size_t len, struct err **err)
{
    CLEANUP_JSON json_t *event = NULL;
    const char *type, *version;
    const json_t *object;

    if (json_parse_wide(text, len, EVENT_MAX, &event, err) < 0)
        return err_wrap(err, "an event of %s", l->path);
    type = json_path_str(event, "type");
    object = json_object_get(event, "object");
    if (str_eq(type, "ERROR")) {
        CLEANUP_FREE char *status = json_text(object);
        struct http_response response = { .status = json_path_int(object, "code", 500),
                                          .body = status,
                                          .len = strlen(status) };

        return kube_status(&response, err);
    }
    version = json_path_str(object, "metadata.resourceVersion");
    if (!type || !version)
        return err_new(err, EPROTO, "an event of %s without type or version", l->path);
    replace_str(&l->resource_version, version);
    l->fruitful = true;
    l->refusals = 0;
    l->rest_ms = REST_MIN_MS;
    if (str_eq(type, "ADDED") || str_eq(type, "MODIFIED"))
        tell(l, KUBE_PUT, object);
    else if (str_eq(type, "DELETED"))
        tell(l, KUBE_GONE, object);
    return 0; /* BOOKMARK, and what later versions may add */
}

static int on_chunk(const char *data, size_t len, void *userdata)
{
    struct kube_list *l = userdata;
    const char *end;

    buf_add(&l->line, data, len);
    while ((end = memchr(buf_str(&l->line), '\n', l->line.len))) {
        size_t n = (size_t)(end - buf_str(&l->line));
        int r = n ? take_event(l, buf_str(&l->line), n, &l->watch_error) : 0;

        if (r < 0)
            return r;
        buf_consume(&l->line, n + 1);
    }
    return l->line.overflow
                   ? err_new(&l->watch_error, EMSGSIZE, "an event of %s is too large", l->path)
                   : 0;
}

static void on_watch_end(const struct http_response *response, const struct err *failure,
                         void *userdata)
{
    CLEANUP_ERR struct err *err = NULL;
    struct kube_list *l = userdata;
    bool lived = clock_mono_ms() - l->watch_start_ms >= WATCH_SHORT_MS;

    l->transfer = NULL;
    if (l->watch_error)
        err = steal_ptr(l->watch_error);
    else if (response)
        kube_status(response, &err);
    /* A server that lost its data does not know our version, and has no one error to say so. */
    if (err && ++l->refusals >= REFUSALS_MAX)
        forget_version(l);
    if (failure || err)
        on_trouble(l, err ? err : failure);
    else if (l->fruitful || lived)
        next_step(l);
    else
        rest(l, jittered(REST_MIN_MS * 2));
}

static int start_watch(struct kube_list *l, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s?watch=1&allowWatchBookmarks=true&resourceVersion=%s"
                                        "&timeoutSeconds=%d",
                                        l->path, l->resource_version, WATCH_S);
    struct http_request request = {
        .method = "GET",
        .path = path,
        .timeout_ms = WATCH_SILENCE_MS,
    };

    buf_reset(&l->line);
    l->fruitful = false;
    l->watch_start_ms = clock_mono_ms();
    return http_stream(l->http, kube_peer(l->kube), &request, on_chunk, on_watch_end, l,
                       &l->transfer, err);
}

/* --- both --------------------------------------------------------------------------------- */

static void next_step(struct kube_list *l)
{
    CLEANUP_ERR struct err *err = NULL;

    if ((l->listed ? start_watch(l, &err) : start_page(l, &err)) < 0)
        on_trouble(l, err);
}

static int on_rested(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source, (void)usec;
    next_step(userdata);
    return 0;
}

int kube_list_new(struct http *h, struct kube *k, const char *path,
                  const struct kube_list_handler *handler, struct kube_list **ret, struct err **err)
{
    CLEANUP(kube_list_free) struct kube_list *l = xcalloc(1, sizeof(*l));
    int r;

    l->http = h;
    l->kube = k;
    l->path = xstrdup(path);
    l->handler = *handler;
    l->rest_ms = REST_MIN_MS;
    l->line = BUF_INIT(EVENT_MAX);
    r = sd_event_add_time_relative(http_loop(h), &l->timer, CLOCK_MONOTONIC, 0, 1000, on_rested, l);
    if (r < 0)
        return err_errno(err, -r, "adding a timer to the loop");
    *ret = steal_ptr(l);
    return 0;
}

void kube_list_free(struct kube_list *l)
{
    if (!l)
        return;
    http_cancel(l->transfer);
    sd_event_source_disable_unref(l->timer);
    buf_done(&l->line);
    err_free(l->watch_error);
    free(l->resource_version);
    free(l->more);
    free(l->path);
    free(l);
}
