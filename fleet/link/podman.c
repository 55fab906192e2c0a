/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation. Each operation is one request, and an `op` that remembers whom to tell; the
 * podman handle keeps a list of them so that it can give them up. podman_list() is a chain: the list
 * first, then each container's inspection, one after the other; one that vanishes in between is left
 * out.
 */

#include "fleet/link/podman.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/link/mailbox.h"
#include "fleet/link/podman_json.h"

#define API "/v5.0.0/libpod"
#define CALL_MS 60000 /* podman is slow under emulation and while another operation holds a lock */
#define START_MS 120000
#define LIST_MAX (16 * 1024 * 1024)
#define PULL_MAX (1024 * 1024)

struct podman {
    struct http *http;
    struct http_peer peer;
    struct mailbox *mailbox; /* from the syncing threads */
    LIST_HEAD(, op) ops;
};

struct op {
    LIST_ENTRY(op) next;
    struct podman *podman;
    struct http_transfer *transfer;
    const char *doing; /* "starting", for errors; */
    char *object;      /* what */
    /* Reads the answer; negative makes the operation fail. NULL: the status says all. */
    int (*read)(struct op *op, const struct http_response *response, struct err **err);
    bool absent_is_success;
    void *userdata;
    /* One of: */
    podman_done done;
    void (*exists_done)(bool exists, const struct err *failure, void *userdata);
    void (*list_done)(const struct containers *list, const struct err *failure, void *userdata);

    bool exists;
    struct containers listed, found;
    size_t n_inspected; /* of `listed` */

    bool durable; /* done only once it is on the disk */
    bool syncing; /* by `syncer`, which posts the op back */
    pthread_t syncer;
};

static void op_free(struct op *op)
{
    LIST_REMOVE(op, next);
    free(op->object);
    containers_done(&op->listed);
    containers_done(&op->found);
    free(op);
}

/* Tells and frees. */
static void op_finish(struct op *op, const struct err *failure)
{
    if (op->done)
        op->done(failure, op->userdata);
    else if (op->exists_done)
        op->exists_done(op->exists, failure, op->userdata);
    else
        op->list_done(failure ? NULL : &op->found, failure, op->userdata);
    op_free(op);
}

static struct op *op_new(struct podman *p, const char *doing, const char *object, void *userdata)
{
    struct op *op = xcalloc(1, sizeof(*op));

    op->podman = p;
    op->doing = doing;
    op->object = xstrdup(object);
    op->userdata = userdata;
    LIST_INSERT_HEAD(&p->ops, op, next);
    return op;
}

static int errno_of_status(long status)
{
    switch (status) {
    case 404:
        return ENOENT;
    case 409:
        return EEXIST;
    case 400:
        return EINVAL;
    default:
        return EIO;
    }
}

static int check_status(const struct op *op, const struct http_response *response, struct err **err)
{
    CLEANUP_FREE char *message = NULL;

    if (response->status < 400 || (op->absent_is_success && response->status == 404))
        return 0;
    message = podman_json_message(response->body, response->len);
    return err_new(err, errno_of_status(response->status), "%s", message);
}

/* --- on the disk ---------------------------------------------------------------------------- */

static void on_synced(void *letter)
{
    struct op *op = letter;

    pthread_join(op->syncer, NULL);
    op->syncing = false;
    op_finish(op, NULL);
}

/* podman_free() takes care of the op. */
static void on_discarded(void *letter)
{
    (void)letter;
}

static void *sync_thread(void *arg)
{
    struct op *op = arg;

    sync();
    mailbox_post(op->podman->mailbox, on_synced, on_discarded, op);
    return NULL;
}

/* podman does not sync what it makes: a power cut within half a minute leaves empty files, and a
 * container that can be neither inspected nor started. */
static void sync_first(struct op *op)
{
    op->syncing = pthread_create(&op->syncer, NULL, sync_thread, op) == 0;
    if (op->syncing)
        return;
    sync();
    op_finish(op, NULL);
}

/* --- requests ------------------------------------------------------------------------------- */

static int no_answer(const struct op *op, const struct err *failure, struct err **err)
{
    const char *socket = op->podman->peer.unix_socket;
    int code = err_code(failure);

    /* libcurl's own text is about a host and a port, which a socket has not. */
    if (code == ENOENT || code == ECONNREFUSED || code == EACCES)
        return err_errno(err, code, "no podman at %s", socket);
    return err_new(err, code, "podman at %s: %s", socket, err_text(failure));
}

static void on_answer(const struct http_response *response, const struct err *failure,
                      void *userdata)
{
    struct op *op = userdata;
    CLEANUP_ERR struct err *err = NULL;
    int r;

    op->transfer = NULL;
    if (failure)
        r = no_answer(op, failure, &err);
    else if (op->read)
        r = op->read(op, response, &err);
    else
        r = check_status(op, response, &err);
    if (r < 0) {
        err_wrap(&err, "%s %s", op->doing, op->object);
        op_finish(op, err);
    } else if (op->transfer) {
        return; /* `read` sent the next request of a chain */
    } else if (op->durable) {
        sync_first(op);
    } else {
        op_finish(op, NULL);
    }
}

/* `body` NULL for none. On failure the op is left to the caller. */
static int op_send(struct op *op, const char *method, const char *path, const char *body,
                   int64_t timeout_ms, size_t max, struct err **err)
{
    struct http_request request = {
        .method = method,
        .path = path,
        .content_type = body ? "application/json" : NULL,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = timeout_ms,
        .max_body = max,
    };

    return http_start(op->podman->http, &op->podman->peer, &request, on_answer, op, &op->transfer,
                      err);
}

/* Sends the op's only or first request; frees the op when it cannot. */
static int op_start(struct op *op, const char *method, const char *path, const char *body,
                    int64_t timeout_ms, size_t max, struct err **err)
{
    int r = op_send(op, method, path, body, timeout_ms, max, err);

    if (r < 0) {
        err_wrap(err, "%s %s", op->doing, op->object);
        op_free(op);
    }
    return r;
}

/* "a/b:c" as a piece of a path or of a query. */
static char *escape(const char *s)
{
    CLEANUP_BUF struct buf b = BUF_INIT(64 * 1024);

    for (; *s; s++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:", *s))
            buf_addc(&b, *s);
        else
            buf_addf(&b, "%%%02X", (unsigned char)*s);
    }
    return buf_steal(&b);
}

/* --- listing -------------------------------------------------------------------------------- */

static int inspect_next(struct op *op, struct err **err)
{
    CLEANUP_FREE char *path = NULL;

    if (op->n_inspected == op->listed.n)
        return 0;
    path = xasprintf(API "/containers/%s/json", op->listed.items[op->n_inspected].id);
    return op_send(op, "GET", path, NULL, CALL_MS, LIST_MAX, err);
}

/* podman knows of it, and yet cannot look at it: parts of it were never written to the disk. One that
 * runs is not to be judged by that. */
static void take_uninspected(struct op *op, struct container *listed)
{
    if (!str_eq(listed->state, "running"))
        replace_str(&listed->state, "broken");
    op->found.items[op->found.n++] = *listed;
    *listed = (struct container){ 0 };
}

static int read_inspection(struct op *op, const struct http_response *response, struct err **err)
{
    struct container *listed = &op->listed.items[op->n_inspected++], c = { 0 };
    int r;

    if (response->status >= 500) {
        take_uninspected(op, listed);
    } else if (response->status != 404) {
        r = check_status(op, response, err);
        if (r >= 0)
            r = podman_json_container(response->body, response->len, &c, err);
        if (r < 0)
            return r;
        op->found.items[op->found.n++] = c;
    }
    return inspect_next(op, err);
}

static int read_list(struct op *op, const struct http_response *response, struct err **err)
{
    int r = check_status(op, response, err);

    if (r >= 0)
        r = podman_json_list(response->body, response->len, &op->listed, err);
    if (r < 0)
        return r;
    op->found.items = xcalloc(op->listed.n + 1, sizeof(*op->found.items));
    op->read = read_inspection;
    return inspect_next(op, err);
}

int podman_list(struct podman *p,
                void (*done)(const struct containers *list, const struct err *failure,
                             void *userdata),
                void *userdata, struct err **err)
{
    CLEANUP_FREE char *filter =
            escape("{\"label\":[\"" PODMAN_LABEL_MANAGED "=" PODMAN_MANAGER "\"]}");
    CLEANUP_FREE char *path = xasprintf(API "/containers/json?all=true&filters=%s", filter);
    struct op *op = op_new(p, "listing", "containers", userdata);

    op->list_done = done;
    op->read = read_list;
    return op_start(op, "GET", path, NULL, CALL_MS, LIST_MAX, err);
}

/* --- images --------------------------------------------------------------------------------- */

static int read_exists(struct op *op, const struct http_response *response, struct err **err)
{
    op->exists = response->status == 204;
    return op->exists || response->status == 404 ? 0 : check_status(op, response, err);
}

int podman_image_exists(struct podman *p, const char *image,
                        void (*done)(bool exists, const struct err *failure, void *userdata),
                        void *userdata, struct err **err)
{
    CLEANUP_FREE char *name = escape(image);
    CLEANUP_FREE char *path = xasprintf(API "/images/%s/exists", name);
    struct op *op = op_new(p, "looking for image", image, userdata);

    op->exists_done = done;
    op->read = read_exists;
    return op_start(op, "GET", path, NULL, CALL_MS, 0, err);
}

static int read_pull(struct op *op, const struct http_response *response, struct err **err)
{
    int r = check_status(op, response, err);

    return r < 0 ? r : podman_json_pulled(response->body, response->len, err);
}

int podman_pull(struct podman *p, const char *image, podman_done done, void *userdata,
                struct err **err)
{
    CLEANUP_FREE char *name = escape(image);
    CLEANUP_FREE char *path =
            xasprintf(API "/images/pull?reference=%s&policy=missing&quiet=true", name);
    struct op *op = op_new(p, "pulling image", image, userdata);

    op->done = done;
    op->read = read_pull;
    return op_start(op, "POST", path, NULL, PODMAN_PULL_MS, PULL_MAX, err);
}

/* --- containers ----------------------------------------------------------------------------- */

int podman_create(struct podman *p, const char *name, const char *deployment,
                  const struct service *service, const char *spec_digest, podman_done done,
                  void *userdata, struct err **err)
{
    CLEANUP_FREE char *body = podman_json_create(name, deployment, service, spec_digest);
    struct op *op = op_new(p, "creating container", name, userdata);

    op->done = done;
    op->durable = true;
    return op_start(op, "POST", API "/containers/create", body, CALL_MS, 0, err);
}

/* METHOD containers/NAME<rest> */
static int act_on(struct podman *p, const char *doing, const char *method, const char *container,
                  const char *rest, int64_t timeout_ms, bool absent_is_success, podman_done done,
                  void *userdata, struct err **err)
{
    CLEANUP_FREE char *name = escape(container);
    CLEANUP_FREE char *path = xasprintf(API "/containers/%s%s", name, rest);
    struct op *op = op_new(p, doing, container, userdata);

    op->done = done;
    op->absent_is_success = absent_is_success;
    return op_start(op, method, path, NULL, timeout_ms, 0, err);
}

int podman_start(struct podman *p, const char *container, podman_done done, void *userdata,
                 struct err **err)
{
    return act_on(p, "starting container", "POST", container, "/start", START_MS, false, done,
                  userdata, err);
}

int podman_stop(struct podman *p, const char *container, int timeout_s, podman_done done,
                void *userdata, struct err **err)
{
    CLEANUP_FREE char *rest = xasprintf("/stop?timeout=%d", timeout_s);

    return act_on(p, "stopping container", "POST", container, rest,
                  (int64_t)timeout_s * 1000 + CALL_MS, false, done, userdata, err);
}

int podman_rename(struct podman *p, const char *container, const char *name, podman_done done,
                  void *userdata, struct err **err)
{
    CLEANUP_FREE char *escaped = escape(name);
    CLEANUP_FREE char *rest = xasprintf("/rename?name=%s", escaped);

    return act_on(p, "renaming container", "POST", container, rest, CALL_MS, false, done, userdata,
                  err);
}

int podman_remove(struct podman *p, const char *container, podman_done done, void *userdata,
                  struct err **err)
{
    return act_on(p, "removing container", "DELETE", container, "?force=true&timeout=0&v=true",
                  CALL_MS, true, done, userdata, err);
}

/* --- lifetime ------------------------------------------------------------------------------- */

int podman_new(struct http *h, const char *socket_path, struct podman **ret, struct err **err)
{
    CLEANUP(podman_free) struct podman *p = NULL;
    int r;

    if (!socket_path || *socket_path != '/')
        return err_new(err, EINVAL, "podman's socket must be an absolute path");
    p = xcalloc(1, sizeof(*p));
    LIST_INIT(&p->ops);
    r = mailbox_new(http_loop(h), &p->mailbox, err);
    if (r < 0)
        return r;
    p->http = h;
    p->peer.base_url = xstrdup("http://d");
    p->peer.unix_socket = xstrdup(socket_path);
    *ret = steal_ptr(p);
    return 0;
}

void podman_free(struct podman *p)
{
    struct op *op;

    if (!p)
        return;
    while ((op = LIST_FIRST(&p->ops))) {
        http_cancel(op->transfer);
        if (op->syncing)
            pthread_join(op->syncer, NULL);
        op_free(op);
    }
    mailbox_free(p->mailbox);
    http_peer_done(&p->peer);
    free(p);
}
