/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: each recipe is a child with its own process group and two pipes, read on one
 * poll loop. What it says on stderr is progress and goes on line by line; the last line of its stdout
 * is the artefact's folder. A recipe cleans up after itself when it is sent TERM, so all of them are
 * sent one and get time for it.
 */

#include "rig/lab/artefact.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define SLICE_MS 200
#define CLEAN_UP_MS 10000
#define LINE_MAX_BYTES 4096
#define LAST_WORDS 3

struct build {
    struct artefact *item;
    struct proc proc;
    int out, progress; /* read ends; -1 once ended */
    struct buf answer, line;
    char *last[LAST_WORDS]; /* lines of progress, newest last */
};

static void build_done(struct build *b)
{
    if (b->proc.pid > 0)
        proc_stop(&b->proc, true, CLEAN_UP_MS);
    if (b->out >= 0)
        close(b->out);
    if (b->progress >= 0)
        close(b->progress);
    buf_done(&b->answer);
    buf_done(&b->line);
    for (size_t i = 0; i < LAST_WORDS; i++)
        free(b->last[i]);
}

struct builds {
    struct build *items;
    size_t n;
    void (*progress)(const char *line, void *userdata);
    void *userdata;
};

static void builds_done(struct builds *all)
{
    /* All are told before the first is waited for. */
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].proc.pid > 0)
            kill(-all->items[i].proc.pid, SIGTERM);
    for (size_t i = 0; i < all->n; i++)
        build_done(&all->items[i]);
    free(all->items);
}

static int begin(struct build *b, const char *images_dir, struct err **err)
{
    CLEANUP_FREE char *script = xasprintf("%s/%s.sh", images_dir, b->item->recipe);
    CLEANUP_STRV char **argv = NULL;
    int out[2], progress[2], r;

    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(err, errno, "making a pipe");
    b->out = out[0];
    if (pipe2(progress, O_CLOEXEC) < 0) {
        close(out[1]);
        return err_errno(err, errno, "making a pipe");
    }
    b->progress = progress[0];
    strv_add(&argv, script);
    if (b->item->argument)
        strv_add(&argv, b->item->argument);
    r = proc_spawn(
            &(struct proc_spec){
                    .argv = argv, .out_fd = out[1], .err_fd = progress[1], .own_group = true },
            &b->proc, err);
    close(out[1]);
    close(progress[1]);
    return r;
}

static void say(struct builds *all, struct build *b)
{
    char *line = buf_steal(&b->line);

    if (all->progress)
        all->progress(line, all->userdata);
    free(b->last[0]);
    memmove(b->last, b->last + 1, sizeof(b->last) - sizeof(b->last[0]));
    b->last[LAST_WORDS - 1] = line;
}

/* Reads what is there; closes at the end of the file. */
static void take(struct builds *all, struct build *b, int *fd)
{
    char chunk[4096];
    ssize_t n = read(*fd, chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    if (fd == &b->out) {
        buf_add(&b->answer, chunk, (size_t)n);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (chunk[i] == '\n')
            say(all, b);
        else if (chunk[i] != '\r')
            buf_addc(&b->line, chunk[i]);
}

static int conclude(struct build *b, struct err **err)
{
    CLEANUP_FREE char *status = NULL;
    CLEANUP_STRV char **lines = NULL;
    size_t n;

    if (b->proc.status != 0) {
        status = proc_status_text(b->proc.status);
        return err_new(err, EIO, "images/%s.sh %s%s%s%s%s%s%s", b->item->recipe, status,
                       b->last[0] ? "\n  " : "", b->last[0] ? b->last[0] : "",
                       b->last[1] ? "\n  " : "", b->last[1] ? b->last[1] : "",
                       b->last[2] ? "\n  " : "", b->last[2] ? b->last[2] : "");
    }
    lines = strv_split(buf_str(&b->answer), "\n");
    n = strv_len(lines);
    if (n == 0 || !file_exists(lines[n - 1]))
        return err_new(err, EIO, "images/%s.sh names no folder that is there, but \"%s\"",
                       b->item->recipe, n ? lines[n - 1] : "");
    replace_str(&b->item->dir, lines[n - 1]);
    return 0;
}

/* One slice of waiting. Returns how many still run. */
static int step(struct builds *all, struct err **err)
{
    struct pollfd *fds = xcalloc(2 * all->n, sizeof(*fds));
    int running = 0, r;

    for (size_t i = 0; i < all->n; i++) {
        fds[2 * i] = (struct pollfd){ .fd = all->items[i].out, .events = POLLIN };
        fds[2 * i + 1] = (struct pollfd){ .fd = all->items[i].progress, .events = POLLIN };
    }
    poll(fds, 2 * all->n, SLICE_MS);
    for (size_t i = 0; i < all->n; i++) {
        if (fds[2 * i].revents)
            take(all, &all->items[i], &all->items[i].out);
        if (fds[2 * i + 1].revents)
            take(all, &all->items[i], &all->items[i].progress);
    }
    free(fds);
    for (size_t i = 0; i < all->n; i++) {
        struct build *b = &all->items[i];

        if (b->out >= 0 || b->progress >= 0 || (b->proc.pid > 0 && !proc_ended(&b->proc)))
            running++;
        else if (!b->item->dir && (r = conclude(b, err)) < 0)
            return r;
    }
    return running;
}

int artefacts_ensure(const char *images_dir, struct artefact *items, size_t n,
                     const volatile sig_atomic_t *stop,
                     void (*progress)(const char *line, void *userdata), void *userdata,
                     struct err **err)
{
    __attribute__((cleanup(builds_done))) struct builds all = {
        .items = xcalloc(n, sizeof(*all.items)), .n = n, .progress = progress, .userdata = userdata
    };
    int r;

    for (size_t i = 0; i < n; i++) {
        replace_str(&items[i].dir, NULL);
        all.items[i] = (struct build){ .item = &items[i],
                                       .proc.pidfd = -1,
                                       .out = -1,
                                       .progress = -1,
                                       .answer = BUF_INIT(LINE_MAX_BYTES),
                                       .line = BUF_INIT(LINE_MAX_BYTES) };
    }
    for (size_t i = 0; i < n; i++)
        if ((r = begin(&all.items[i], images_dir, err)) < 0)
            return err_wrap(err, "building %s", items[i].recipe);
    do {
        if (stop && *stop)
            return err_new(err, ECANCELED, "interrupted");
    } while ((r = step(&all, err)) > 0);
    return r;
}

void artefacts_done(struct artefact *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        replace_str(&items[i].dir, NULL);
}
