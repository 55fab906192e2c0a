/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: the list of askers and all in it belongs to the mutex. The server's thread
 * reads from them and notices who leaves; both threads write, each a whole line at a time, and give
 * up on somebody who does not read for SEND_MS. An asker goes through READING, and then either
 * QUEUED and RUNNING, or WAITING (for the fleet to be up), or LEAVING (for it to be down).
 *
 * The flag that the lab looks at is set for two reasons, the fleet's end and the taking back of the
 * running request. The second ends with that request, which is why both are kept apart.
 */

#include "rig/cmd/keeper_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "rig/cmd/rig.h"
#include "rig/run/report.h"

#define ASKERS 32    /* at a time; others wait in the socket's own queue */
#define READ_MS 3000 /* from connecting to the end of the request */
#define SEND_MS 2000

enum stage { READING, QUEUED, RUNNING, WAITING, LEAVING };

struct asker {
    struct list_link in_askers;
    int fd;
    enum stage stage;
    bool gone; /* takes its request back; may still read the answer */
    struct buf in;
    int64_t deadline_ms; /* READING */
    struct request request;
};

struct keeper_server {
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    int listen_fd, server_wake, lab_wake;
    struct list askers;
    size_t n_askers;
    struct asker *running;
    int64_t running_since_ms;
    json_t *status;
    bool up;
    volatile sig_atomic_t stop; /* set by set_stop() */
    atomic_bool ending, closing;
};

/* The lab reads it as it reads a flag that a signal sets. */
static void set_stop(struct keeper_server *s, bool value)
{
    __atomic_store_n(&s->stop, value, __ATOMIC_SEQ_CST);
}

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n; /* full is awake, too */
}

static void unwake(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));

    (void)n;
}

void keeper_server_end(struct keeper_server *s)
{
    s->ending = true;
    set_stop(s, true);
    wake(s->lab_wake);
    wake(s->server_wake);
}

/* --- Askers; the mutex is held --------------------------------------------------------------- */

static void drop(struct keeper_server *s, struct asker *a)
{
    if (s->running == a)
        s->running = NULL;
    list_remove(&a->in_askers);
    s->n_askers--;
    close(a->fd);
    buf_done(&a->in);
    request_done(&a->request);
    free(a);
}

/* Whole or not at all; false when nobody reads there any more. */
static bool send_text(const struct asker *a, const char *text)
{
    int64_t deadline = clock_mono_ms() + SEND_MS;

    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = send(a->fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd out = { .fd = a->fd, .events = POLLOUT };

        if (n > 0) {
            text += n;
            left -= (size_t)n;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        } else if (clock_mono_ms() >= deadline) {
            return false;
        } else {
            poll(&out, 1, (int)clock_left_ms(deadline));
        }
    }
    return true;
}

static bool send_answer(const struct asker *a, enum answer_kind kind, int code, const char *text,
                        json_t *data)
{
    CLEANUP_BUF struct buf clean = BUF_INIT(ANSWER_MAX / 2);
    CLEANUP_FREE char *line = NULL;
    struct answer answer = { .kind = kind, .exit = code, .data = data };

    report_clean(&clean, text ? text : "");
    answer.text = (char *)(uintptr_t)buf_str(&clean);
    line = answer_text(&answer);
    return send_text(a, line);
}

static void finish(struct keeper_server *s, struct asker *a, int code, const char *text,
                   json_t *data)
{
    send_answer(a, ANSWER_EXIT, code, text, data);
    drop(s, a);
}

static void answer_status(struct keeper_server *s, struct asker *a)
{
    CLEANUP_JSON json_t *data = s->status ? json_copy(s->status) : json_object();

    if (s->running) {
        CLEANUP_FREE char *name = request_name(&s->running->request);

        json_object_set_new(data, "busy", json_string(name));
        json_object_set_new(data, "busy_ms", json_integer(clock_mono_ms() - s->running_since_ms));
    }
    json_object_set_new(data, "phase",
                        json_string(s->ending ? "going down"
                                    : s->up   ? "up"
                                              : "coming up"));
    finish(s, a, RIG_PASSED, "", data);
}

static void enqueue(struct keeper_server *s, struct asker *a)
{
    CLEANUP_FREE char *name = NULL, *text = NULL;

    if (!s->up || s->ending) {
        finish(s, a, RIG_USAGE,
               s->ending ? "the fleet is going down" : "the fleet is still coming up", NULL);
        return;
    }
    a->stage = QUEUED;
    wake(s->lab_wake);
    if (!s->running)
        return;
    name = request_name(&s->running->request);
    text = xasprintf("waiting for the end of: %s", name);
    send_answer(a, ANSWER_STATUS, 0, text, NULL);
}

static void admit(struct keeper_server *s, struct asker *a)
{
    switch (a->request.ask) {
    case ASK_STATUS:
        answer_status(s, a);
        return;
    case ASK_WAIT:
        if (s->up && !s->ending)
            finish(s, a, RIG_PASSED, "", NULL);
        else
            a->stage = WAITING;
        return;
    case ASK_DOWN:
        a->stage = LEAVING;
        keeper_server_end(s);
        return;
    case ASK_DO:
    case ASK_EXPECT:
    case ASK_HEAL:
    case ASK_REDEPLOY:
        enqueue(s, a);
        return;
    }
}

/* --- The server's thread --------------------------------------------------------------------- */

static void take_request(struct keeper_server *s, struct asker *a, size_t len)
{
    CLEANUP_ERR struct err *err = NULL;

    if (request_parse(a->in.data, len, &a->request, &err) >= 0)
        admit(s, a);
    else
        finish(s, a, RIG_USAGE, err_text(err), NULL);
}

/* Its request is taken back: by shutting down one side, or by hanging up. */
static void leave(struct keeper_server *s, struct asker *a)
{
    a->gone = true;
    if (a->stage == RUNNING)
        set_stop(s, true);
    else if (a->stage == WAITING && a->request.owner && !s->up)
        keeper_server_end(s);
    else if (a->stage != LEAVING) /* that is on its way, and may still be listened for */
        drop(s, a);
}

static void hear(struct keeper_server *s, struct asker *a)
{
    char chunk[4096];
    ssize_t n = recv(a->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    const char *end;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        leave(s, a);
        return;
    }
    if (a->stage != READING)
        return; /* one request a connection: what follows is nobody's */
    buf_add(&a->in, chunk, (size_t)n);
    end = memchr(a->in.data, '\n', a->in.len);
    if (end)
        take_request(s, a, (size_t)(end - a->in.data));
    else if (a->in.overflow)
        finish(s, a, RIG_USAGE, "the request is too long", NULL);
}

static void greet(struct keeper_server *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct asker *a;

    if (fd < 0)
        return;
    a = xcalloc(1, sizeof(*a));
    a->fd = fd;
    a->in = BUF_INIT(REQUEST_MAX);
    a->deadline_ms = clock_mono_ms() + READ_MS;
    list_add(&s->askers, &a->in_askers);
    s->n_askers++;
}

/* Whoever is slow with a request. Returns how long until the next one is. */
static int64_t drop_slow(struct keeper_server *s)
{
    int64_t next = 60000;

    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);

        if (a->stage != READING)
            continue;
        if (clock_left_ms(a->deadline_ms) == 0)
            finish(s, a, RIG_USAGE, "the request did not come to its end in time", NULL);
        else if (clock_left_ms(a->deadline_ms) < next)
            next = clock_left_ms(a->deadline_ms);
    }
    return next;
}

static size_t fill(struct keeper_server *s, struct pollfd *fds, struct asker **who)
{
    size_t n = 2;

    fds[0] = (struct pollfd){ .fd = s->server_wake, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = s->n_askers < ASKERS ? s->listen_fd : -1, .events = POLLIN };
    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);

        who[n] = a;
        fds[n++] = (struct pollfd){ .fd = a->gone ? -1 : a->fd, .events = POLLIN };
    }
    return n;
}

/* Whether an asker of the round before is still there: the lab's thread may have answered it. */
static bool still_there(struct keeper_server *s, const struct asker *a)
{
    LIST_EACH(link, &s->askers)
    if (LIST_ITEM(link, struct asker, in_askers) == a)
        return true;
    return false;
}

static void *serve(void *userdata)
{
    struct keeper_server *s = userdata;
    struct pollfd fds[ASKERS + 2];
    struct asker *who[ASKERS + 2];

    while (!s->closing) {
        size_t n;
        int64_t next;

        pthread_mutex_lock(&s->mutex);
        next = drop_slow(s);
        n = fill(s, fds, who);
        pthread_mutex_unlock(&s->mutex);
        if (poll(fds, n, (int)next) < 0)
            continue;
        pthread_mutex_lock(&s->mutex);
        if (fds[0].revents)
            unwake(s->server_wake);
        for (size_t i = 2; i < n; i++)
            if (fds[i].revents && still_there(s, who[i]))
                hear(s, who[i]);
        if (fds[1].revents)
            greet(s);
        pthread_mutex_unlock(&s->mutex);
    }
    return NULL;
}

/* --- The lab's thread ------------------------------------------------------------------------ */

int keeper_server_new(int listen_fd, struct keeper_server **ret, struct err **err)
{
    CLEANUP(keeper_server_free) struct keeper_server *s = xcalloc(1, sizeof(*s));
    sigset_t all, before;
    int r;

    list_init(&s->askers);
    pthread_mutex_init(&s->mutex, NULL);
    s->listen_fd = listen_fd;
    s->server_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->lab_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->server_wake < 0 || s->lab_wake < 0)
        return err_errno(err, errno, "eventfd");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&s->thread, NULL, serve, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return err_errno(err, r, "starting a thread");
    s->started = true;
    *ret = steal_ptr(s);
    return 0;
}

void keeper_server_free(struct keeper_server *s)
{
    if (!s)
        return;
    s->closing = true;
    wake(s->server_wake);
    if (s->started)
        pthread_join(s->thread, NULL);
    LIST_EACH(link, &s->askers)
    drop(s, LIST_ITEM(link, struct asker, in_askers));
    close(s->listen_fd);
    close(s->server_wake);
    close(s->lab_wake);
    json_decref(s->status);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

const volatile sig_atomic_t *keeper_server_stop(struct keeper_server *s)
{
    return &s->stop;
}

bool keeper_server_ending(const struct keeper_server *s)
{
    return s->ending;
}

void keeper_server_status(struct keeper_server *s, json_t *data)
{
    pthread_mutex_lock(&s->mutex);
    json_decref(s->status);
    s->status = json_incref(data);
    pthread_mutex_unlock(&s->mutex);
}

void keeper_server_tell(struct keeper_server *s, enum answer_kind kind, const char *text)
{
    pthread_mutex_lock(&s->mutex);
    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);
        bool waits = !s->running && (a->stage == WAITING || a->stage == LEAVING);

        if (a == s->running || waits)
            send_answer(a, kind, 0, text, NULL);
    }
    pthread_mutex_unlock(&s->mutex);
}

void keeper_server_up(struct keeper_server *s)
{
    pthread_mutex_lock(&s->mutex);
    s->up = true;
    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);

        if (a->stage == WAITING && !s->ending)
            finish(s, a, RIG_PASSED, "", NULL);
    }
    pthread_mutex_unlock(&s->mutex);
}

static bool run_next(struct keeper_server *s)
{
    pthread_mutex_lock(&s->mutex);
    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);

        if (s->running || a->stage != QUEUED)
            continue;
        a->stage = RUNNING;
        s->running = a;
        s->running_since_ms = clock_mono_ms();
    }
    pthread_mutex_unlock(&s->mutex);
    return s->running != NULL && !s->ending;
}

bool keeper_server_next(struct keeper_server *s, int64_t timeout_ms, const struct request **ret)
{
    struct pollfd in = { .fd = s->lab_wake, .events = POLLIN };

    if (!run_next(s)) {
        if (poll(&in, 1, (int)timeout_ms) > 0)
            unwake(s->lab_wake);
        if (!run_next(s))
            return false;
    }
    *ret = &s->running->request;
    return true;
}

void keeper_server_answer(struct keeper_server *s, int exit, const char *text, json_t *data)
{
    pthread_mutex_lock(&s->mutex);
    if (s->running)
        finish(s, s->running, exit, text, data);
    set_stop(s, s->ending);
    pthread_mutex_unlock(&s->mutex);
}

void keeper_server_down(struct keeper_server *s, int exit, const char *text)
{
    pthread_mutex_lock(&s->mutex);
    LIST_EACH(link, &s->askers)
    {
        struct asker *a = LIST_ITEM(link, struct asker, in_askers);

        if (a->stage == LEAVING)
            finish(s, a, RIG_PASSED, "", NULL);
        else
            finish(s, a, exit, text, NULL);
    }
    pthread_mutex_unlock(&s->mutex);
}
