/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

static void cleanup_dirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dirp)))

int file_read_fd(int fd, const char *name, size_t max, char **ret, size_t *ret_len,
                 struct err **err)
{
    CLEANUP_BUF struct buf text = BUF_INIT(max);
    char chunk[8192];

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "reading %s", name);
        if (n == 0)
            break;
        buf_add(&text, chunk, (size_t)n);
        if (text.overflow)
            return err_new(err, EFBIG, "reading %s: larger than %zu bytes", name, max);
    }
    if (ret_len)
        *ret_len = text.len;
    *ret = buf_steal(&text);
    return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "reading %s", path);
    return file_read_fd(fd, path, max, ret, ret_len, err);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_write(const char *path, const void *data, size_t len, mode_t mode, struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return err_errno(err, errno, "writing %s", path);
    r = write_all(fd, data, len);
    if (r == 0 && close(steal_fd(&fd)) < 0)
        r = -errno;
    if (r < 0)
        return err_errno(err, -r, "writing %s", path);
    return 0;
}

/* The folder of `path`, "." when it names none. The caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int sync_folder(const char *folder)
{
    CLEANUP_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Fills the fresh temporary file `tmp` and puts it in the place of `path`. */
static int fill_and_rename(int tmp_fd, const char *tmp, const char *path, const void *data,
                           size_t len, mode_t mode)
{
    CLEANUP_CLOSE int fd = tmp_fd;
    int r = write_all(fd, data, len);

    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || close(steal_fd(&fd)) < 0)
        return -errno;
    return rename(tmp, path) < 0 ? -errno : 0;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err **err)
{
    CLEANUP_FREE char *folder = folder_of(path);
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *tmp = xasprintf("%s/.%.200s.XXXXXX", folder, slash ? slash + 1 : path);
    int fd = mkostemp(tmp, O_CLOEXEC);
    int r;

    if (fd < 0)
        return err_errno(err, errno, "replacing %s", path);
    r = fill_and_rename(fd, tmp, path, data, len, mode);
    if (r < 0)
        unlink(tmp);
    else
        r = sync_folder(folder);
    if (r < 0)
        return err_errno(err, -r, "replacing %s", path);
    return 0;
}

bool file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

int dir_make(const char *path, mode_t mode, struct err **err)
{
    CLEANUP_FREE char *prefix = xstrdup(path);
    struct stat st;

    for (char *p = prefix + strspn(prefix, "/"); *p;) {
        char after;

        p += strcspn(p, "/");
        after = *p;
        *p = '\0';
        if (mkdir(prefix, mode) < 0 && errno != EEXIST)
            return err_errno(err, errno, "making folder %s", prefix);
        *p = after;
        p += strspn(p, "/");
    }
    if (stat(path, &st) < 0)
        return err_errno(err, errno, "making folder %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_errno(err, ENOTDIR, "making folder %s", path);
    return 0;
}

/* --- removal ------------------------------------------------------------------------------ */

#define LOOK_MASK (STATX_TYPE | STATX_MNT_ID)

static int look(int dir_fd, const char *name, struct statx *ret)
{
    return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH),
                 LOOK_MASK, ret) < 0
                   ? -errno
                   : 0;
}

/* The mount is compared too where the kernel tells it: a bind mount of the same file system must
 * not be emptied either. */
static bool same_mount(const struct statx *a, const struct statx *b)
{
    if (a->stx_dev_major != b->stx_dev_major || a->stx_dev_minor != b->stx_dev_minor)
        return false;
    return !(a->stx_mask & b->stx_mask & STATX_MNT_ID) || a->stx_mnt_id == b->stx_mnt_id;
}

static int remove_entry(int dir_fd, const char *name, const struct statx *top, const char *path,
                        struct err **err);

/* Empties the open folder `fd`, which it closes. */
static int empty_dir(int fd, const struct statx *top, const char *path, struct err **err)
{
    CLEANUP_DIR DIR *dir = fdopendir(fd);
    struct dirent *entry = NULL;

    if (!dir) {
        int r = err_errno(err, errno, "removing %s", path);

        close(fd);
        return r;
    }
    while (errno = 0, (entry = readdir(dir))) {
        CLEANUP_FREE char *inner = NULL;
        int r;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        inner = xasprintf("%s/%s", path, entry->d_name);
        r = remove_entry(dirfd(dir), entry->d_name, top, inner, err);
        if (r < 0)
            return r;
    }
    if (errno)
        return err_errno(err, errno, "removing %s", path);
    return 0;
}

/* Removes `name` in `dir_fd` with all below it, as far as it is on the mount of `top`, which NULL
 * sets. What vanishes meanwhile is fine. `path` is for errors. */
static int remove_entry(int dir_fd, const char *name, const struct statx *top, const char *path,
                        struct err **err)
{
    struct statx st, opened;
    int fd, r;

    r = look(dir_fd, name, &st);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return err_errno(err, -r, "removing %s", path);
    if (!S_ISDIR(st.stx_mode)) {
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
            return err_errno(err, errno, "removing %s", path);
        return 0;
    }
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "removing %s", path);
    /* What was opened counts, not what stood there a moment before. */
    r = look(fd, "", &opened);
    if (r == 0 && top && !same_mount(&opened, top))
        r = -EXDEV;
    if (r < 0) {
        close(fd);
        return err_errno(err, -r, "removing %s", path);
    }
    r = empty_dir(fd, top ? top : &opened, path, err);
    if (r < 0)
        return r;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_errno(err, errno, "removing %s", path);
    return 0;
}

int dir_remove(const char *path, struct err **err)
{
    CLEANUP_FREE char *plain = xstrdup(path);
    size_t len = strlen(plain);
    const char *last = NULL;

    /* With a slash at its end the name of a symbolic link would mean what the link points to. */
    while (len > 0 && plain[len - 1] == '/')
        plain[--len] = '\0';
    last = strrchr(plain, '/');
    last = last ? last + 1 : plain;
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return err_new(err, EINVAL, "removing \"%s\": that is no name of a folder", path);
    return remove_entry(AT_FDCWD, plain, NULL, plain, err);
}
