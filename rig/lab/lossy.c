/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: rig-lossyfs gets one end of a socket pair as its standard input and output, so
 * commands need no path, and it ends when this program does. It is entered by its namespace, root and
 * current folder, all opened through /proc once it has said that it is ready: a namespace alone would
 * take a program that runs under chroot out of it.
 */

#include "rig/lab/lossy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"

#define ANSWER_MS 30000
#define ANSWER_LEN 512

struct lossy {
    char *name;               /* of the child */
    int control;              /* our end */
    int theirs;               /* the child's, while it is being started */
    int namespace, root, cwd; /* of the child */
};

int lossy_possible(struct err **err)
{
    int r;

    if (geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0)
        return 0;
    r = geteuid() != 0 ? err_new(err, EPERM, "dropping unsynced writes of a server needs root")
                       : err_errno(err, errno, "dropping unsynced writes of a server: /dev/fuse");
    err_hint(err, "%s",
             geteuid() != 0 ? "run it as root" : "load the kernel module: modprobe fuse");
    return r;
}

/* In the child: only system calls. */
static int take_control(void *userdata)
{
    const struct lossy *l = userdata;

    return dup2(l->theirs, STDIN_FILENO) < 0 || dup2(l->theirs, STDOUT_FILENO) < 0 ? -errno : 0;
}

int lossy_enter(void *lossy)
{
    const struct lossy *l = lossy;

    return setns(l->namespace, CLONE_NEWNS) < 0 || fchdir(l->root) < 0 || chroot(".") < 0 ||
                           fchdir(l->cwd) < 0
                   ? -errno
                   : 0;
}

/* A line of the child, without its end. */
static int answer(struct lossy *l, char line[static ANSWER_LEN], struct err **err)
{
    int64_t deadline = clock_mono_ms() + ANSWER_MS;
    size_t len = 0;

    while (len == 0 || line[len - 1] != '\n') {
        struct pollfd in = { .fd = l->control, .events = POLLIN };
        ssize_t n;

        if (len == ANSWER_LEN - 1)
            return err_new(err, EPROTO, "%s talks too much", l->name);
        if (poll(&in, 1, (int)clock_left_ms(deadline)) == 0)
            return err_new(err, ETIMEDOUT, "%s does not answer", l->name);
        n = recv(l->control, line + len, ANSWER_LEN - 1 - len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_new(err, EPIPE, "%s has ended; its log: logs/%s.log", l->name, l->name);
        len += (size_t)n;
    }
    line[len - 1] = '\0';
    return 0;
}

static int open_place(const struct lossy *l, pid_t pid, const char *what, int flags, int *ret,
                      struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, what);

    if ((*ret = open(path, flags | O_CLOEXEC)) < 0)
        return err_errno(err, errno, "%s: %s", l->name, path);
    return 0;
}

static int open_places(struct lossy *l, pid_t pid, struct err **err)
{
    int r;

    if ((r = open_place(l, pid, "ns/mnt", O_RDONLY, &l->namespace, err)) < 0 ||
        (r = open_place(l, pid, "root", O_PATH | O_DIRECTORY, &l->root, err)) < 0)
        return r;
    return open_place(l, pid, "cwd", O_PATH | O_DIRECTORY, &l->cwd, err);
}

int lossy_start(struct supervisor *s, const char *service, const char *disk, const char *mountpoint,
                struct lossy **ret, struct err **err)
{
    CLEANUP(lossy_free) struct lossy *l = xcalloc(1, sizeof(*l));
    struct proc_spec spec = { .argv = ARGV("rig-lossyfs", "--private", disk, mountpoint),
                              .prepare = take_control,
                              .userdata = l };
    char line[ANSWER_LEN];
    int pair[2], r;

    l->control = l->theirs = l->namespace = l->root = l->cwd = -1;
    l->name = xasprintf("%s-disk", service);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, errno, "%s", l->name);
    l->control = pair[0];
    l->theirs = pair[1];
    r = supervisor_start_spec(s, l->name, &spec, err);
    close(steal_fd(&l->theirs));
    if (r < 0 || (r = answer(l, line, err)) < 0)
        return r;
    if (!str_eq(line, "ready"))
        return err_new(err, EPROTO, "%s says \"%s\" for a greeting", l->name, line);
    if ((r = open_places(l, supervisor_pid(s, l->name), err)) < 0)
        return r;
    *ret = steal_ptr(l);
    return 0;
}

int lossy_stop(struct supervisor *s, const struct lossy *l, struct err **err)
{
    return supervisor_stop(s, l->name, err);
}

void lossy_free(struct lossy *l)
{
    int *fds[] = { &l->control, &l->theirs, &l->namespace, &l->root, &l->cwd };

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        cleanup_closep(fds[i]);
    free(l->name);
    free(l);
}

/* The answer to `name` begins with `done`. */
static int command(struct lossy *l, const char *name, const char *done, struct lossy_count *ret,
                   struct err **err)
{
    CLEANUP_FREE char *request = xasprintf("%s\n", name);
    size_t len = strlen(request);
    struct lossy_count count;
    char line[ANSWER_LEN];
    int r;

    if (send(l->control, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        return err_errno(err, errno, "%s", l->name);
    if ((r = answer(l, line, err)) < 0)
        return r;
    if (!str_starts(line, done) ||
        sscanf(line + strlen(done),
               " bytes=%" SCNu64 " files=%" SCNu64 " names=%" SCNu64 " flushes=%" SCNu64,
               &count.bytes, &count.files, &count.names, &count.flushes) != 4)
        return err_new(err, EPROTO, "%s: %s", l->name, line);
    *ret = count;
    return 0;
}

int lossy_drop(struct lossy *l, struct lossy_count *ret, struct err **err)
{
    return command(l, "drop", "dropped", ret, err);
}

int lossy_sync(struct lossy *l, struct lossy_count *ret, struct err **err)
{
    return command(l, "sync", "synced", ret, err);
}

char *lossy_text(const struct lossy_count *count)
{
    /* After a sync for want of memory less is lost than the model says: it is told. */
    return xasprintf("%" PRIu64 " byte%s in %" PRIu64 " file%s and %" PRIu64 " name%s%s",
                     count->bytes, count->bytes == 1 ? "" : "s", count->files,
                     count->files == 1 ? "" : "s", count->names, count->names == 1 ? "" : "s",
                     count->flushes ? ", after syncs for want of memory" : "");
}
