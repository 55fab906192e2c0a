/* SPDX-License-Identifier: AGPL-3.0-only */

/* proc_run(): a child process from start to end, with its output. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"

/* Of stderr this much is kept for the error when the caller does not capture it. */
#define TAIL_MAX 1024
#define QUOTED_LINES 3
#define STOP_GRACE_MS 2000

/* One output of the child: the end that we read, and where it goes. */
struct stream {
    int fd;           /* -1 after the end */
    struct buf *into; /* or NULL */
    struct buf *tail; /* the last bytes, or NULL */
};

static void keep_tail(struct buf *tail, const char *data, size_t len)
{
    if (len > TAIL_MAX) {
        data += len - TAIL_MAX;
        len = TAIL_MAX;
    }
    if (tail->len + len > TAIL_MAX)
        buf_consume(tail, tail->len + len - TAIL_MAX);
    buf_add(tail, data, len);
}

/* Takes what is there, without waiting. */
static void drain(struct stream *s)
{
    char chunk[16384];
    ssize_t n;

    while (s->fd >= 0) {
        n = read(s->fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close(steal_fd(&s->fd));
            return;
        }
        if (s->into)
            buf_add(s->into, chunk, (size_t)n);
        if (s->tail)
            keep_tail(s->tail, chunk, (size_t)n);
    }
}

/* Reads until the process ended. Not until the pipes do: a grandchild may hold them open. */
static int follow(struct proc *p, struct stream streams[static 2], int64_t deadline_ms)
{
    for (;;) {
        struct pollfd fds[3] = {
            { .fd = p->pidfd, .events = POLLIN },
            { .fd = streams[0].fd, .events = POLLIN },
            { .fd = streams[1].fd, .events = POLLIN },
        };
        int64_t left = clock_left_ms(deadline_ms);
        bool ended;

        if (left == 0)
            return -ETIMEDOUT;
        if (poll(fds, 3, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR)
            return -errno;
        /* Asked first: what it wrote before it ended is in the pipes by then. */
        ended = proc_ended(p);
        drain(&streams[0]);
        drain(&streams[1]);
        if (ended)
            return 0;
    }
}

/* A file that the child can read as its stdin: unlike a pipe it needs no writer beside the reader,
 * and cannot break. */
static int input_file(const char *input)
{
    CLEANUP_CLOSE int fd = memfd_create("stdin", MFD_CLOEXEC);
    size_t len = strlen(input);

    if (fd < 0)
        return -errno;
    while (len > 0) {
        ssize_t n = write(fd, input, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        input += n;
        len -= (size_t)n;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : steal_fd(&fd);
}

/* The last lines on one line: "a; b; c". The caller frees it. */
static char *last_lines(char *text)
{
    CLEANUP_BUF struct buf b = BUF_INIT(TAIL_MAX + 16);
    const char *lines[QUOTED_LINES] = { NULL };
    char *next = NULL;

    for (char *line = strtok_r(text, "\r\n", &next); line; line = strtok_r(NULL, "\r\n", &next)) {
        if (!line[strspn(line, " \t")])
            continue;
        memmove(lines, lines + 1, (QUOTED_LINES - 1) * sizeof(lines[0]));
        lines[QUOTED_LINES - 1] = line;
    }
    for (int i = 0; i < QUOTED_LINES; i++)
        if (lines[i])
            buf_addf(&b, "%s%s", b.len ? "; " : "", lines[i]);
    return buf_steal(&b);
}

static int failed(const char *name, int status, struct buf *tail, struct err **err)
{
    CLEANUP_FREE char *how = proc_status_text(status);
    CLEANUP_FREE char *raw = buf_steal(tail);
    CLEANUP_FREE char *said = last_lines(raw);

    return err_new(err, EIO, "%s %s%s%s", name, how, *said ? ": " : "", said);
}

int proc_run(char *const *argv, const char *input, int64_t timeout_ms, struct buf *out,
             struct buf *errout, struct err **err)
{
    CLEANUP_CLOSE int in_fd = -1, out_read = -1, out_write = -1, err_read = -1, err_write = -1;
    CLEANUP_BUF struct buf tail = BUF_INIT(TAIL_MAX);
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    struct stream streams[2];
    struct proc p;
    int fds[2], r;

    if (input) {
        in_fd = input_file(input);
        if (in_fd < 0)
            return err_errno(err, -in_fd, "starting %s", argv[0]);
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, errno, "starting %s", argv[0]);
    out_read = fds[0];
    out_write = fds[1];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, errno, "starting %s", argv[0]);
    err_read = fds[0];
    err_write = fds[1];
    /* Only our ends must not block: few programs expect that of their own. */
    if (fcntl(out_write, F_SETFL, 0) < 0 || fcntl(err_write, F_SETFL, 0) < 0)
        return err_errno(err, errno, "starting %s", argv[0]);

    r = proc_spawn(&(struct proc_spec){ .argv = argv,
                                        .in_fd = input ? in_fd : 0,
                                        .out_fd = out_write,
                                        .err_fd = err_write,
                                        .own_group = true },
                   &p, err);
    if (r < 0)
        return r;
    close(steal_fd(&out_write));
    close(steal_fd(&err_write));

    streams[0] = (struct stream){ .fd = steal_fd(&out_read), .into = out };
    streams[1] = (struct stream){ .fd = steal_fd(&err_read), .into = errout, .tail = &tail };
    r = follow(&p, streams, deadline_ms);
    if (r < 0)
        proc_stop(&p, /* group= */ true, STOP_GRACE_MS);
    for (int i = 0; i < 2; i++)
        if (streams[i].fd >= 0)
            close(streams[i].fd);

    if (r == -ETIMEDOUT)
        return err_new(err, ETIMEDOUT, "%s did not end within %jd ms", argv[0],
                       (intmax_t)timeout_ms);
    if (r < 0)
        return err_errno(err, -r, "running %s", argv[0]);
    if (!WIFEXITED(p.status) || WEXITSTATUS(p.status) != 0)
        return failed(argv[0], p.status, &tail, err);
    return 0;
}
