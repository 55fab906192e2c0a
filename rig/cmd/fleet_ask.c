/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define POLL_MS 200
#define STILL_MS 5000 /* between lines that say what is waited for */

struct ask_state {
    const struct fleet *fleet;
    struct progress *progress;
    const volatile sig_atomic_t *stop;
    int fd;
    int64_t deadline_ms;
    bool waits;         /* for a sentence: most of what is seen is what was seen before */
    int64_t told_at_ms; /* of such, the last that became a line */
    bool taken_back;
    struct buf in;
};

static int send_all(int fd, const char *text, struct err **err)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "asking the keeper");
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

static void show_status(struct ask_state *s, const char *text)
{
    if (s->waits && !progress_live(s->progress)) {
        if (clock_mono_ms() - s->told_at_ms < STILL_MS)
            return;
        s->told_at_ms = clock_mono_ms();
    }
    progress_status(s->progress, text);
}

/* Shows what is not the last answer: 1 when it is. */
static int take(struct ask_state *s, size_t len, struct answer *ret, struct err **err)
{
    struct answer a = { 0 };
    int r = answer_parse(s->in.data, len, &a, err);

    if (r < 0)
        return r;
    if (a.kind == ANSWER_EXIT) {
        *ret = a;
        return 1;
    }
    if (a.kind == ANSWER_LINE)
        progress_line(s->progress, "%s", a.text);
    else
        show_status(s, a.text);
    answer_done(&a);
    return 0;
}

static int read_more(struct ask_state *s, struct err **err)
{
    char chunk[4096];
    ssize_t n = recv(s->fd, chunk, sizeof(chunk), 0);

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) {
        err_new(err, EPIPE, "the keeper of fleet %s went away", s->fleet->name);
        err_hint(err, "rig up --name %s starts it anew", s->fleet->name);
        return -EPIPE;
    }
    buf_add(&s->in, chunk, (size_t)n);
    return s->in.overflow ? err_new(err, EPROTO, "the keeper sends no end of a line") : 0;
}

/* Ctrl-C: the first takes the request back, the second gives up. */
static int look_at_stop(struct ask_state *s, struct err **err)
{
    if (!s->stop || !*s->stop)
        return 0;
    if (*s->stop > 1)
        return err_new(err, ECANCELED, "interrupted twice: not waiting for the keeper any longer");
    if (!s->taken_back)
        shutdown(s->fd, SHUT_WR);
    s->taken_back = true;
    return 0;
}

static int listen_on(struct ask_state *s, struct answer *ret, struct err **err)
{
    int r = 0;

    while (r == 0) {
        struct pollfd in = { .fd = s->fd, .events = POLLIN };
        const char *end = s->in.len ? memchr(s->in.data, '\n', s->in.len) : NULL;

        if (end) {
            size_t len = (size_t)(end - s->in.data);

            r = take(s, len, ret, err);
            buf_consume(&s->in, len + 1);
            continue;
        }
        if (clock_mono_ms() >= s->deadline_ms)
            return err_new(err, ETIMEDOUT, "the keeper of fleet %s does not answer",
                           s->fleet->name);
        if ((r = look_at_stop(s, err)) == 0 && poll(&in, 1, POLL_MS) > 0)
            r = read_more(s, err);
    }
    return r;
}

int fleet_ask(const struct fleet *f, const struct request *request, int64_t timeout_ms,
              struct progress *progress, const volatile sig_atomic_t *stop, struct answer *ret,
              struct err **err)
{
    CLEANUP_FREE char *text = request_text(request);
    CLEANUP_CLOSE int fd = -1;
    struct ask_state s = { .fleet = f,
                           .progress = progress,
                           .stop = stop,
                           .deadline_ms = timeout_ms ? clock_mono_ms() + timeout_ms : INT64_MAX,
                           .waits = request->ask == ASK_EXPECT,
                           .told_at_ms = clock_mono_ms(),
                           .in = BUF_INIT(ANSWER_MAX) };
    int r = fleet_connect(f, &fd, err);

    if (r < 0 || (r = send_all(fd, text, err)) < 0)
        return r;
    s.fd = fd;
    r = listen_on(&s, ret, err);
    buf_done(&s.in);
    progress_clear(progress);
    return r < 0 ? r : 0;
}
