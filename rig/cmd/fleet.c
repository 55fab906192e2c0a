/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define LOCK "lock"
#define SOCKET "socket"
#define NAME_LONGEST 40
#define BACKLOG 16

/* --- The folder ------------------------------------------------------------------------------ */

int fleet_new(const struct place *place, const char *name, struct fleet **ret, struct err **err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(name);
    struct fleet *f;

    if (len < 1 || len > NAME_LONGEST || strspn(name, allowed) < len || name[0] == '-')
        return err_new(err, EINVAL,
                       "'%s' is no name of a fleet: 1 to %d of a-z, 0-9 and -, not - first", name,
                       NAME_LONGEST);
    f = xcalloc(1, sizeof(*f));
    f->name = xstrdup(name);
    f->dir = xasprintf("%s/fleets/%s", place->cache, name);
    f->lock_fd = -1;
    *ret = f;
    return 0;
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    free(f->name);
    free(f->dir);
    free(f);
}

char *fleet_path(const struct fleet *f, const char *name)
{
    return xasprintf("%s/%s", f->dir, name);
}

enum fleet_life fleet_life(const struct fleet *f)
{
    CLEANUP_FREE char *path = fleet_path(f, LOCK);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (f->lock_fd >= 0)
        return FLEET_DEAD;
    if (fd < 0)
        return file_exists(f->dir) ? FLEET_DEAD : FLEET_NONE;
    /* Shared: two that look do not take each other for a keeper. */
    return flock(fd, LOCK_SH | LOCK_NB) < 0 ? FLEET_ALIVE : FLEET_DEAD;
}

/* Whether the lock is still that of the folder: the fleet that was waited for may have gone, and its
 * folder with it. */
static bool in_place(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

int fleet_lock(struct fleet *f, struct err **err)
{
    CLEANUP_FREE char *path = fleet_path(f, LOCK);
    CLEANUP_CLOSE int fd = -1;
    /* Others get through (the host's libvirt to the disks of machines) but see no names. */
    int r = dir_make(f->dir, 0711, err);

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno != ENOENT)
        return err_errno(err, errno, "%s", path);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !in_place(fd, path))
        return 0;
    f->lock_fd = steal_fd(&fd);
    return 1;
}

int fleet_clear(const struct fleet *f, struct err **err)
{
    CLEANUP_STRV char **names = NULL;
    DIR *d = opendir(f->dir);

    if (!d)
        return errno == ENOENT ? 0 : err_errno(err, errno, "%s", f->dir);
    for (struct dirent *e; (e = readdir(d));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") && !str_eq(e->d_name, LOCK))
            strv_add(&names, e->d_name);
    closedir(d);
    for (char **n = names; n && *n; n++) {
        CLEANUP_FREE char *path = fleet_path(f, *n);
        int r = dir_remove(path, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int fleet_remove(const struct fleet *f, struct err **err)
{
    CLEANUP_FREE char *lock = fleet_path(f, LOCK);

    if (unlink(lock) < 0 && errno != ENOENT)
        return err_errno(err, errno, "%s", lock);
    /* Who came for the lock in between has a new one there already. */
    if (rmdir(f->dir) < 0 && errno != ENOENT && errno != ENOTEMPTY)
        return err_errno(err, errno, "%s", f->dir);
    return 0;
}

/* --- The socket ------------------------------------------------------------------------------ */

/* A stream socket, and its address by way of the open folder `dir_fd`. */
static int socket_at(const struct fleet *f, int *ret_dir_fd, struct sockaddr_un *ret, int *ret_fd,
                     struct err **err)
{
    CLEANUP_CLOSE int dir_fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

    if (dir_fd < 0)
        return err_errno(err, errno, "%s", f->dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, "making a socket");
    ret->sun_family = AF_UNIX;
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" SOCKET, dir_fd);
    *ret_dir_fd = steal_fd(&dir_fd);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int fleet_listen(const struct fleet *f, int *ret_fd, struct err **err)
{
    CLEANUP_FREE char *path = fleet_path(f, SOCKET);
    CLEANUP_CLOSE int dir_fd = -1, fd = -1;
    struct sockaddr_un address = { 0 };
    mode_t mask;
    int r = socket_at(f, &dir_fd, &address, &fd, err);

    if (r < 0)
        return r;
    unlink(path);
    mask = umask(0177);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (r < 0 || listen(fd, BACKLOG) < 0)
        return err_errno(err, errno, "listening at %s", path);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int fleet_connect(const struct fleet *f, int *ret_fd, struct err **err)
{
    CLEANUP_CLOSE int dir_fd = -1, fd = -1;
    struct sockaddr_un address = { 0 };
    int r = socket_at(f, &dir_fd, &address, &fd, err);

    if (r < 0)
        return r;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_errno(err, errno, "asking the keeper of fleet %s", f->name);
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* --- The fleet ------------------------------------------------------------------------------- */

/* What to type for this fleet: "rig up", "rig up --name other". */
static char *typed(const struct fleet *f, const char *command)
{
    bool usual = str_eq(f->name, FLEET_NAME);

    return xasprintf("rig %s%s%s", command, usual ? "" : " --name ", usual ? "" : f->name);
}

static int need_alive(const struct fleet *f, struct err **err)
{
    CLEANUP_FREE char *up = typed(f, "up"), *down = typed(f, "down");

    switch (fleet_life(f)) {
    case FLEET_NONE:
        err_new(err, ENOENT, "no fleet %s is up", f->name);
        err_hint(err, "start one with: %s", up);
        return -ENOENT;
    case FLEET_DEAD:
        err_new(err, ENOENT, "the fleet %s died and left %s", f->name, f->dir);
        err_hint(err, "%s starts it anew; %s only clears away what is left", up, down);
        return -ENOENT;
    case FLEET_ALIVE:
        return 0;
    }
    return 0;
}

int fleet_need(const struct fleet *f, struct fleet_state *ret, struct err **err)
{
    CLEANUP_FLEET_STATE struct fleet_state state = { 0 };
    CLEANUP_FREE char *path = fleet_path(f, FLEET_STATE), *up = typed(f, "up"),
                      *down = typed(f, "down");
    int r = need_alive(f, err);

    if (r < 0)
        return r;
    r = fleet_state_read(path, &state, err);
    if (r == -ENOENT || (r >= 0 && !state.up)) {
        err_new(err, EAGAIN, "the fleet %s is still coming up", f->name);
        err_hint(err, "%s waits for it", up);
        return -EAGAIN;
    }
    if (r < 0) {
        err_wrap(err, "the fleet %s is not one that this rig can read", f->name);
        err_hint(err, "%s takes it down, %s then starts another", down, up);
        return r;
    }
    *ret = state;
    state = (struct fleet_state){ 0 };
    return 0;
}
