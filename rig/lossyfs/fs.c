/* SPDX-License-Identifier: AGPL-3.0-only */

#define FUSE_USE_VERSION 31

#include "rig/lossyfs/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <fuse3/fuse_lowlevel.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strv.h"

struct fs {
    int root;
    char *mountpoint; /* NULL while not mounted */
    struct undo *undo;
    struct fuse *fuse;
    struct fuse_buf request;
    uint64_t generation; /* one more after each drop */
};

/* An open file or folder. */
struct handle {
    int fd;
    uint64_t generation;
    bool root; /* the root of it all */
    bool sync; /* every write is one */
};

static struct fs *self(void)
{
    return fuse_get_context()->private_data;
}

/* From the root of the folder, "." for itself. */
static const char *relative(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static bool hidden(const char *path)
{
    size_t n = strlen(UNDO_GRAVES);

    path = relative(path);
    return strncmp(path, UNDO_GRAVES, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

/* 0 or -EIO for one from before the power cut. */
static int handle_check(const struct handle *h)
{
    return h->generation == self()->generation ? 0 : -EIO;
}

/* Of a file and of a folder. */
static void handle_new(const char *path, int fd, struct fuse_file_info *fi)
{
    struct handle *h = xcalloc(1, sizeof(*h));

    *h = (struct handle){ .fd = fd,
                          .generation = self()->generation,
                          .root = path[1] == '\0',
                          .sync = (fi->flags & O_DSYNC) != 0 }; /* a bit of O_SYNC, too */
    fi->fh = (uintptr_t)h;
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)path;
    close(h->fd);
    free(h);
    return 0;
}

static int result(int r)
{
    return r < 0 ? -errno : 0;
}

/* --- Looking --------------------------------------------------------------------------------- */

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    if (fi) {
        int r = handle_check(handle_of(fi));

        return r < 0 ? r : result(fstat(handle_of(fi)->fd, st));
    }
    if (hidden(path))
        return -ENOENT;
    return result(fstatat(self()->root, relative(path), st, AT_SYMLINK_NOFOLLOW));
}

static int fs_readlink(const char *path, char *text, size_t size)
{
    ssize_t n = readlinkat(self()->root, relative(path), text, size - 1);

    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

static int fs_opendir(const char *path, struct fuse_file_info *fi)
{
    int fd = openat(self()->root, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    handle_new(path, fd, fi);
    return 0;
}

static int fs_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    const struct handle *h = handle_of(fi);
    int fd = openat(h->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    (void)path, (void)offset, (void)flags;
    if (!dir)
        return -errno;
    while ((e = readdir(dir))) {
        struct stat st = { .st_ino = e->d_ino, .st_mode = (mode_t)e->d_type << 12 };

        if (h->root && str_eq(e->d_name, UNDO_GRAVES))
            continue;
        if (fill(buf, e->d_name, &st, 0, 0) != 0)
            break;
    }
    closedir(dir);
    return 0;
}

static int fs_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return result(fstatvfs(self()->root, st));
}

/* --- Names ----------------------------------------------------------------------------------- */

/* What is made belongs to who made it. */
static int give(const char *path, int r)
{
    const struct fuse_context *context = fuse_get_context();

    if (r < 0 || (context->uid == 0 && context->gid == 0))
        return r;
    return result(fchownat(self()->root, relative(path), context->uid, context->gid,
                           AT_SYMLINK_NOFOLLOW));
}

static int fs_mkdir(const char *path, mode_t mode)
{
    if (hidden(path))
        return -EPERM;
    return give(path, undo_mkdir(self()->undo, relative(path), mode, NULL));
}

static int fs_symlink(const char *target, const char *path)
{
    if (hidden(path))
        return -EPERM;
    return give(path, undo_symlink(self()->undo, target, relative(path), NULL));
}

static int fs_unlink(const char *path)
{
    return undo_unlink(self()->undo, relative(path), NULL);
}

static int fs_rmdir(const char *path)
{
    return undo_rmdir(self()->undo, relative(path), NULL);
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
    if (hidden(to))
        return -EPERM;
    return undo_rename(self()->undo, relative(from), relative(to), flags, NULL);
}

static int refuse_link(const char *from, const char *to)
{
    (void)from, (void)to;
    return -EPERM;
}

static int refuse_node(const char *path, mode_t mode, dev_t device)
{
    (void)path, (void)mode, (void)device;
    return -EPERM;
}

/* --- Attributes ------------------------------------------------------------------------------ */

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    if (fi)
        return result(fchmod(handle_of(fi)->fd, mode));
    return result(fchmodat(self()->root, relative(path), mode, 0));
}

static int fs_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    if (fi)
        return result(fchown(handle_of(fi)->fd, uid, gid));
    return result(fchownat(self()->root, relative(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
    if (fi)
        return result(futimens(handle_of(fi)->fd, times));
    return result(utimensat(self()->root, relative(path), times, AT_SYMLINK_NOFOLLOW));
}

/* --- Data ------------------------------------------------------------------------------------ */

static int cut(int fd, off_t size)
{
    int r = undo_before_truncate(self()->undo, fd, size, NULL);

    return r < 0 ? r : result(ftruncate(fd, size));
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    CLEANUP_CLOSE int fd = -1;
    int r;

    if (fi)
        return (r = handle_check(handle_of(fi))) < 0 ? r : cut(handle_of(fi)->fd, size);
    fd = openat(self()->root, relative(path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : cut(fd, size);
}

/* Always for reading and writing: what a caller may do, the kernel has checked. */
static int fs_open(const char *path, struct fuse_file_info *fi)
{
    int fd = openat(self()->root, relative(path), O_RDWR | O_NOFOLLOW | O_CLOEXEC), r = 0;

    if (fd < 0)
        return -errno;
    if ((fi->flags & O_TRUNC) && (r = cut(fd, 0)) < 0) {
        close(fd);
        return r;
    }
    handle_new(path, fd, fi);
    return 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int fd = -1, r;

    if (hidden(path))
        return -EPERM;
    if ((r = undo_create(self()->undo, relative(path), mode, &fd, NULL)) < 0)
        return r;
    if ((r = give(path, r)) < 0) {
        close(fd);
        return r;
    }
    handle_new(path, fd, fi);
    return 0;
}

static int fs_read(const char *path, char *bytes, size_t len, off_t offset,
                   struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    ssize_t n;
    int r = handle_check(h);

    (void)path;
    if (r < 0)
        return r;
    n = pread(h->fd, bytes, len, offset);
    return n < 0 ? -errno : (int)n;
}

static int sync_file(const struct handle *h)
{
    int r = handle_check(h);

    return r < 0 ? r : undo_sync_file(self()->undo, h->fd, NULL);
}

static int fs_write(const char *path, const char *bytes, size_t len, off_t offset,
                    struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    ssize_t n;
    int r = handle_check(h);

    (void)path;
    if (r < 0 || (r = undo_before_write(self()->undo, h->fd, offset, len, NULL)) < 0)
        return r;
    if ((n = pwrite(h->fd, bytes, len, offset)) < 0)
        return -errno;
    if (h->sync && (r = sync_file(h)) < 0)
        return r;
    return (int)n;
}

static int fs_fsync(const char *path, int only_data, struct fuse_file_info *fi)
{
    (void)path, (void)only_data;
    return sync_file(handle_of(fi));
}

static int fs_fsyncdir(const char *path, int only_data, struct fuse_file_info *fi)
{
    (void)path, (void)only_data, (void)fi;
    return undo_sync_names(self()->undo, NULL);
}

static int fs_fallocate(const char *path, int mode, off_t offset, off_t len,
                        struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    int r = handle_check(h);

    (void)path;
    if (r < 0)
        return r;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    if ((r = undo_before_write(self()->undo, h->fd, offset, (size_t)len, NULL)) < 0)
        return r;
    return result(fallocate(h->fd, mode, offset, len));
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->hard_remove = 1;
    config->nullpath_ok = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return self();
}

static const struct fuse_operations operations = {
    .init = fs_init,
    .getattr = fs_getattr,
    .readlink = fs_readlink,
    .opendir = fs_opendir,
    .readdir = fs_readdir,
    .releasedir = fs_release,
    .statfs = fs_statfs,
    .mkdir = fs_mkdir,
    .symlink = fs_symlink,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .link = refuse_link,
    .mknod = refuse_node,
    .chmod = fs_chmod,
    .chown = fs_chown,
    .utimens = fs_utimens,
    .truncate = fs_truncate,
    .open = fs_open,
    .create = fs_create,
    .release = fs_release,
    .read = fs_read,
    .write = fs_write,
    .fsync = fs_fsync,
    .fsyncdir = fs_fsyncdir,
    .fallocate = fs_fallocate,
};

/* --- The mount ------------------------------------------------------------------------------- */

/* Mounts by itself: libfuse would keep /etc/mtab and call helpers. *ret_fd is open afterwards. */
static int mount_it(const char *mountpoint, int *ret_fd, struct err **err)
{
    CLEANUP_CLOSE int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    CLEANUP_FREE char *options = NULL;
    int r;

    if (fd < 0) {
        r = err_errno(err, errno, "/dev/fuse");
        err_hint(err, "the kernel needs the module fuse");
        return r;
    }
    options = xasprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
                        fd);
    if (mount("rig-lossyfs", mountpoint, "fuse.rig-lossyfs", MS_NOSUID | MS_NODEV, options) < 0) {
        r = err_errno(err, errno, "mounting at %s", mountpoint);
        err_hint(err, "this needs root");
        return r;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int start(struct fs *fs, const char *mountpoint, struct err **err)
{
    struct fuse_args args = FUSE_ARGS_INIT(1, ((char *[]){ (char *)"rig-lossyfs", NULL }));
    CLEANUP_FREE char *device = NULL;
    int fd = -1, r;

    fs->fuse = fuse_new(&args, &operations, sizeof(operations), fs);
    fuse_opt_free_args(&args);
    if (!fs->fuse)
        return err_new(err, EIO, "libfuse does not start");
    if ((r = mount_it(mountpoint, &fd, err)) < 0)
        return r;
    fs->mountpoint = xstrdup(mountpoint);
    device = xasprintf("/dev/fd/%d", fd); /* how libfuse is told of a mount that there is already */
    if (fuse_mount(fs->fuse, device) != 0) {
        close(fd);
        return err_new(err, EIO, "libfuse does not take the mount at %s", mountpoint);
    }
    return 0;
}

int fs_mount(const char *dir, const char *mountpoint, size_t limit, struct fs **ret,
             struct err **err)
{
    CLEANUP(fs_free) struct fs *fs = xcalloc(1, sizeof(*fs));
    int r;

    umask(0); /* modes arrive with the caller's umask applied */
    if ((fs->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return err_errno(err, errno, "%s", dir);
    if ((r = undo_new(fs->root, limit, &fs->undo, err)) < 0)
        return err_wrap(err, "%s", dir);
    if ((r = start(fs, mountpoint, err)) < 0)
        return r;
    *ret = steal_ptr(fs);
    return 0;
}

void fs_free(struct fs *fs)
{
    if (!fs)
        return;
    if (fs->undo)
        undo_sync(fs->undo, NULL);
    if (fs->mountpoint)
        umount2(fs->mountpoint, MNT_DETACH);
    if (fs->fuse) {
        fuse_unmount(fs->fuse);
        fuse_destroy(fs->fuse);
    }
    undo_free(fs->undo);
    if (fs->root >= 0)
        close(fs->root);
    free(fs->request.mem);
    free(fs->mountpoint);
    free(fs);
}

int fs_fd(const struct fs *fs)
{
    return fuse_session_fd(fuse_get_session(fs->fuse));
}

int fs_serve(struct fs *fs, struct err **err)
{
    struct fuse_session *session = fuse_get_session(fs->fuse);
    int r = fuse_session_receive_buf(session, &fs->request);

    if (r == -EINTR || r == -EAGAIN)
        return 0;
    if (r < 0)
        return err_errno(err, -r, "/dev/fuse");
    if (r == 0)
        return err_new(err, ENODEV, "somebody unmounted it");
    fuse_session_process_buf(session, &fs->request);
    return 0;
}

/* --- Commands -------------------------------------------------------------------------------- */

int fs_unsynced(struct fs *fs, struct undo_loss *ret, struct err **err)
{
    return undo_unsynced(fs->undo, ret, err);
}

int fs_sync(struct fs *fs, struct undo_loss *ret, struct err **err)
{
    int r = undo_unsynced(fs->undo, ret, err);

    return r < 0 ? r : undo_sync(fs->undo, err);
}

int fs_drop(struct fs *fs, struct undo_loss *ret, struct err **err)
{
    fs->generation++;
    return undo_drop(fs->undo, ret, err);
}
