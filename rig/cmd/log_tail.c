/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a log is read once from its start for where its last lines begin, then from
 * there. Whole lines are printed, so that those of several logs do not run into each other; what is
 * not ended yet waits. The kernel says when something in the folder was written (inotify); then all
 * logs are read on. A log that became shorter was begun anew.
 */

#include "rig/cmd/log_tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"

#define SUFFIX ".log"
#define LINE_LONGEST (1024 * 1024)
#define POLL_MS 500

struct log {
    char *name;
    int fd;
    off_t at; /* what is before it was read */
    struct buf line;
};

struct logs {
    const struct log_tail *config;
    struct log *items;
    size_t n, cap, widest;
};

static void logs_done(struct logs *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->items[i].name);
        close(all->items[i].fd);
        buf_done(&all->items[i].line);
    }
    free(all->items);
}

static struct log *find(struct logs *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->items[i].name, name))
            return &all->items[i];
    return NULL;
}

int log_names(const char *dir, char ***ret, struct err **err)
{
    DIR *d = opendir(dir);

    if (!d)
        return err_errno(err, errno, "%s", dir);
    for (struct dirent *e; (e = readdir(d));)
        if (str_ends(e->d_name, SUFFIX)) {
            CLEANUP_FREE char *name = xstrndup(e->d_name, strlen(e->d_name) - strlen(SUFFIX));

            strv_add(ret, name);
        }
    closedir(d);
    if (*ret)
        strv_sort(*ret);
    return 0;
}

/* Where the last `lines` lines begin. */
static off_t tail_start(int fd, size_t lines)
{
    CLEANUP_FREE off_t *starts = xcalloc(lines + 1, sizeof(*starts));
    char chunk[16384];
    off_t at = 0;
    size_t count = 0; /* line starts seen, in a ring */
    bool fresh = true;
    ssize_t n;

    while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (fresh)
                starts[count++ % (lines + 1)] = at + i;
            fresh = chunk[i] == '\n';
        }
        at += n;
    }
    if (lines == 0)
        return at;
    return count <= lines ? 0 : starts[(count - lines) % (lines + 1)];
}

static void print_line(const struct logs *all, struct log *l)
{
    FILE *out = all->config->out;

    if (all->config->name)
        fprintf(out, "%s\n", buf_str(&l->line));
    else
        fprintf(out, "%-*s | %s\n", (int)all->widest, l->name, buf_str(&l->line));
    buf_reset(&l->line);
}

/* What was written since. */
static void read_on(const struct logs *all, struct log *l)
{
    char chunk[16384];
    struct stat st;
    ssize_t n;

    if (fstat(l->fd, &st) == 0 && st.st_size < l->at)
        l->at = 0;
    while ((n = pread(l->fd, chunk, sizeof(chunk), l->at)) > 0) {
        l->at += n;
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] == '\n')
                print_line(all, l);
            else if (chunk[i])
                buf_addc(&l->line, chunk[i]);
        }
    }
    fflush(all->config->out);
}

static void add(struct logs *all, const char *name, bool whole)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s" SUFFIX, all->config->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* it went meanwhile */
    all->items = grow(all->items, all->n, &all->cap, sizeof(*all->items));
    all->items[all->n++] = (struct log){ .name = xstrdup(name),
                                         .fd = fd,
                                         .at = whole ? 0 : tail_start(fd, all->config->lines),
                                         .line = BUF_INIT(LINE_LONGEST) };
    if (strlen(name) > all->widest)
        all->widest = strlen(name);
}

static int look(struct logs *all, bool first, struct err **err)
{
    CLEANUP_STRV char **names = NULL;
    const char *only = all->config->name;
    int r = log_names(all->config->dir, &names, err);

    if (r < 0)
        return r;
    if (only && !strv_has(names, only)) {
        CLEANUP_FREE char *there = names ? strv_join(names, ", ") : xstrdup("none");

        return err_new(err, ENOENT, "there is no component or device '%s'; components: %s", only,
                       there);
    }
    for (char **name = names; name && *name; name++)
        if ((!only || str_eq(only, *name)) && !find(all, *name))
            add(all, *name, /* whole= */ !first);
    for (size_t i = 0; i < all->n; i++)
        read_on(all, &all->items[i]);
    return 0;
}

static int follow(struct logs *all, struct err **err)
{
    CLEANUP_CLOSE int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd in = { .fd = fd, .events = POLLIN };
    char events[16384];

    if (fd < 0 || inotify_add_watch(fd, all->config->dir, IN_MODIFY | IN_CREATE | IN_ONLYDIR) < 0)
        return err_errno(err, errno, "watching %s", all->config->dir);
    while (!*all->config->stop && !ferror(all->config->out)) {
        int r = look(all, /* first= */ false, err);

        /* The fleet went down, and its logs with it. */
        if (r < 0)
            return r == -ENOENT ? 0 : r;
        if (poll(&in, 1, POLL_MS) > 0)
            while (read(fd, events, sizeof(events)) > 0)
                ;
    }
    return 0;
}

int log_tail(const struct log_tail *config, struct err **err)
{
    __attribute__((cleanup(logs_done))) struct logs all = { .config = config };
    int r = look(&all, /* first= */ true, err);

    if (r >= 0 && config->follow) {
        CLEANUP_ERR struct err *ended = NULL;

        r = follow(&all, &ended);
        if (r < 0)
            return err_new(err, -r, "%s", err_text(ended));
    }
    return r;
}
