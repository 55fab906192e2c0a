/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lossyfs/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#define PAGE 4096
#define KEY_MAX 40
#define GRAVE_MAX 48

/* A page as the disk has it. */
struct page {
    off_t number;
    size_t len; /* less than PAGE at the end of the file */
    unsigned char *bytes;
};

/* A file that has something to lose. */
struct file {
    int fd;
    char key[KEY_MAX];
    off_t durable;      /* its size on the disk */
    off_t cut;          /* the smallest size that it was cut to since; `durable` at most */
    struct page *pages; /* in order of number */
    size_t n_pages, cap_pages;
};

enum change_kind { MADE_FILE, MADE_DIR, REMOVED_FILE, REMOVED_DIR, RENAMED, EXCHANGED };

/* A change of names. */
struct change {
    enum change_kind kind;
    char *path, *to;       /* `to`: of a rename */
    char grave[GRAVE_MAX]; /* the file that lost its name; "" for none */
    bool replaced_dir;     /* RENAMED over an empty folder */
    struct stat was;       /* of a folder that went */
    struct list_link link;
};

struct undo {
    int root;
    size_t limit, used, max_files;
    struct map files; /* device and inode -> struct file */
    struct list changes;
    size_t n_changes;
    uint64_t graves, flushes;
};

/* --- Files ----------------------------------------------------------------------------------- */

static void file_key(const struct stat *st, char key[static KEY_MAX])
{
    snprintf(key, KEY_MAX, "%jx:%jx", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
}

/* Copies from number `from` on are not needed any more. */
static void pages_forget(struct undo *u, struct file *f, size_t from)
{
    for (size_t i = from; i < f->n_pages; i++) {
        u->used -= sizeof(struct page) + f->pages[i].len;
        free(f->pages[i].bytes);
    }
    f->n_pages = from;
}

/* The disk has it as it is now. */
static void file_forget(struct undo *u, struct file *f)
{
    map_remove(&u->files, f->key);
    pages_forget(u, f, 0);
    u->used -= sizeof(*f);
    close(f->fd);
    free(f->pages);
    free(f);
}

/* The index of the page `number`, or where it belongs. */
static size_t page_place(const struct file *f, off_t number)
{
    size_t low = 0, high = f->n_pages;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (f->pages[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int read_all(int fd, unsigned char *bytes, size_t len, off_t offset, size_t *ret,
                    struct err **err)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = pread(fd, bytes + have, len - have, offset + (off_t)have);

        if (n < 0)
            return err_errno(err, errno, "reading what the disk has");
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *ret = have;
    return 0;
}

static int write_all(int fd, const unsigned char *bytes, size_t len, off_t offset, struct err **err)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, offset);

        if (n < 0)
            return err_errno(err, errno, "taking a write back");
        bytes += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int page_save(struct undo *u, struct file *f, off_t number, struct err **err)
{
    size_t at = page_place(f, number), have = 0;
    off_t start = number * PAGE;
    size_t len = f->durable - start < PAGE ? (size_t)(f->durable - start) : PAGE;
    CLEANUP_FREE unsigned char *bytes = NULL;
    int r;

    if (at < f->n_pages && f->pages[at].number == number)
        return 0;
    bytes = xcalloc(1, len);
    if ((r = read_all(f->fd, bytes, len, start, &have, err)) < 0)
        return r;
    f->pages = grow(f->pages, f->n_pages, &f->cap_pages, sizeof(*f->pages));
    memmove(&f->pages[at + 1], &f->pages[at], (f->n_pages - at) * sizeof(*f->pages));
    f->pages[at] = (struct page){ .number = number, .len = len, .bytes = steal_ptr(bytes) };
    f->n_pages++;
    u->used += sizeof(struct page) + len;
    return 0;
}

/* Saves what the disk has of [from, to). */
static int pages_save(struct undo *u, struct file *f, off_t from, off_t to, struct err **err)
{
    int r;

    if (to > f->durable)
        to = f->durable;
    for (off_t n = from / PAGE; n * PAGE < to; n++)
        if ((r = page_save(u, f, n, err)) < 0)
            return r;
    return 0;
}

/* The record of a file that is about to change; the disk has it as it is unless it has one already. */
static int file_of(struct undo *u, int fd, struct file **ret, struct err **err)
{
    char key[KEY_MAX];
    struct file *f;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "looking at a file");
    file_key(&st, key);
    if ((f = map_get(&u->files, key))) {
        *ret = f;
        return 0;
    }
    f = xcalloc(1, sizeof(*f));
    if ((f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        free(f);
        return err_errno(err, errno, "keeping a file");
    }
    memcpy(f->key, key, sizeof(f->key));
    f->durable = f->cut = st.st_size;
    map_put(&u->files, key, f);
    u->used += sizeof(*f);
    *ret = f;
    return 0;
}

/* The cut is committed: the disk has no more of the file than was left. */
static void file_commit_cut(struct undo *u, struct file *f)
{
    size_t at;

    if (f->cut >= f->durable)
        return;
    f->durable = f->cut;
    at = page_place(f, f->durable / PAGE);
    if (at < f->n_pages && f->pages[at].number == f->durable / PAGE && f->durable % PAGE) {
        size_t len = (size_t)(f->durable % PAGE);

        u->used -= f->pages[at].len - len;
        f->pages[at++].len = len;
    }
    pages_forget(u, f, at);
}

/* Too much to keep: the disk gets everything. */
static int stay_small(struct undo *u, struct err **err)
{
    if (u->used <= u->limit && u->files.n <= u->max_files)
        return 0;
    u->flushes++;
    return undo_sync(u, err);
}

int undo_before_write(struct undo *u, int fd, off_t offset, size_t len, struct err **err)
{
    struct file *f = NULL;
    int r;

    if ((r = stay_small(u, err)) < 0 || (r = file_of(u, fd, &f, err)) < 0)
        return r;
    return pages_save(u, f, offset, offset + (off_t)len, err);
}

int undo_before_truncate(struct undo *u, int fd, off_t size, struct err **err)
{
    struct file *f = NULL;
    int r;

    if ((r = stay_small(u, err)) < 0 || (r = file_of(u, fd, &f, err)) < 0 ||
        (r = pages_save(u, f, size, f->durable, err)) < 0)
        return r;
    if (size < f->cut)
        f->cut = size;
    return 0;
}

/* --- Names ----------------------------------------------------------------------------------- */

static size_t change_size(const struct change *c)
{
    return sizeof(*c) + strlen(c->path) + (c->to ? strlen(c->to) : 0);
}

static void change_forget(struct undo *u, struct change *c)
{
    u->used -= change_size(c);
    u->n_changes--;
    list_remove(&c->link);
    free(c->path);
    free(c->to);
    free(c);
}

/* Journals; `draft` is copied, with its paths. */
static void journal(struct undo *u, const struct change *draft)
{
    struct change *c = xmalloc(sizeof(*c));

    *c = *draft;
    c->path = xstrdup(draft->path);
    c->to = xstrdup(draft->to);
    c->link = (struct list_link){ 0 };
    list_add(&u->changes, &c->link);
    u->n_changes++;
    u->used += change_size(c);
}

/* A second name for a file that is about to lose one. */
static int bury(struct undo *u, const char *path, char grave[static GRAVE_MAX], struct err **err)
{
    snprintf(grave, GRAVE_MAX, UNDO_GRAVES "/%" PRIu64, ++u->graves);
    if (linkat(u->root, path, u->root, grave, 0) < 0)
        return err_errno(err, errno, "%s", path);
    return 0;
}

/* What was done failed: the file kept its name. Returns the error. */
static int unbury(struct undo *u, const char *grave, const char *path, struct err **err)
{
    int errnum = errno;

    if (*grave)
        unlinkat(u->root, grave, 0);
    return err_errno(err, errnum, "%s", path);
}

int undo_create(struct undo *u, const char *path, mode_t mode, int *ret_fd, struct err **err)
{
    struct file *f = NULL;
    int fd, r;

    if ((r = stay_small(u, err)) < 0)
        return r;
    fd = openat(u->root, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    journal(u, &(struct change){ .kind = MADE_FILE, .path = (char *)path });
    if ((r = file_of(u, fd, &f, err)) < 0) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int undo_mkdir(struct undo *u, const char *path, mode_t mode, struct err **err)
{
    int r = stay_small(u, err);

    if (r < 0)
        return r;
    if (mkdirat(u->root, path, mode & 07777) < 0)
        return err_errno(err, errno, "%s", path);
    journal(u, &(struct change){ .kind = MADE_DIR, .path = (char *)path });
    return 0;
}

int undo_symlink(struct undo *u, const char *target, const char *path, struct err **err)
{
    int r = stay_small(u, err);

    if (r < 0)
        return r;
    if (symlinkat(target, u->root, path) < 0)
        return err_errno(err, errno, "%s", path);
    journal(u, &(struct change){ .kind = MADE_FILE, .path = (char *)path });
    return 0;
}

int undo_unlink(struct undo *u, const char *path, struct err **err)
{
    struct change c = { .kind = REMOVED_FILE, .path = (char *)path };
    int r;

    if ((r = stay_small(u, err)) < 0 || (r = bury(u, path, c.grave, err)) < 0)
        return r;
    if (unlinkat(u->root, path, 0) < 0)
        return unbury(u, c.grave, path, err);
    journal(u, &c);
    return 0;
}

int undo_rmdir(struct undo *u, const char *path, struct err **err)
{
    struct change c = { .kind = REMOVED_DIR, .path = (char *)path };
    int r = stay_small(u, err);

    if (r < 0)
        return r;
    if (fstatat(u->root, path, &c.was, AT_SYMLINK_NOFOLLOW) < 0 ||
        unlinkat(u->root, path, AT_REMOVEDIR) < 0)
        return err_errno(err, errno, "%s", path);
    journal(u, &c);
    return 0;
}

int undo_rename(struct undo *u, const char *from, const char *to, unsigned flags, struct err **err)
{
    struct change c = { .kind = flags & RENAME_EXCHANGE ? EXCHANGED : RENAMED,
                        .path = (char *)from,
                        .to = (char *)to };
    struct stat source;
    bool replaces;
    int r = stay_small(u, err);

    if (r < 0)
        return r;
    if (fstatat(u->root, from, &source, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, errno, "%s", from);
    replaces = flags == 0 && fstatat(u->root, to, &c.was, AT_SYMLINK_NOFOLLOW) == 0;
    /* Two names of one file: rename(2) does nothing. */
    if (replaces && source.st_dev == c.was.st_dev && source.st_ino == c.was.st_ino)
        return 0;
    c.replaced_dir = replaces && S_ISDIR(c.was.st_mode);
    if (replaces && !c.replaced_dir && (r = bury(u, to, c.grave, err)) < 0)
        return r;
    if (renameat2(u->root, from, u->root, to, flags) < 0)
        return unbury(u, c.grave, to, err);
    journal(u, &c);
    return 0;
}

static int remake_dir(struct undo *u, const char *path, const struct stat *was)
{
    if (mkdirat(u->root, path, was->st_mode & 07777) < 0)
        return -1;
    return fchownat(u->root, path, was->st_uid, was->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int rename_back(struct undo *u, const struct change *c)
{
    if (renameat(u->root, c->to, u->root, c->path) < 0)
        return -1;
    if (c->replaced_dir)
        return remake_dir(u, c->to, &c->was);
    return *c->grave ? renameat(u->root, c->grave, u->root, c->to) : 0;
}

static int take_back(struct undo *u, const struct change *c)
{
    switch (c->kind) {
    case MADE_FILE:
        return unlinkat(u->root, c->path, 0);
    case MADE_DIR:
        return unlinkat(u->root, c->path, AT_REMOVEDIR);
    case REMOVED_FILE:
        return renameat(u->root, c->grave, u->root, c->path);
    case REMOVED_DIR:
        return remake_dir(u, c->path, &c->was);
    case RENAMED:
        return rename_back(u, c);
    case EXCHANGED:
        return renameat2(u->root, c->path, u->root, c->to, RENAME_EXCHANGE);
    }
    errno = EINVAL;
    return -1;
}

/* --- Syncing and dropping -------------------------------------------------------------------- */

/* A file without a name cannot be lost any more. */
static bool nameless(const struct file *f)
{
    struct stat st;

    return fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

int undo_sync_names(struct undo *u, struct err **err)
{
    bool graves = false;

    LIST_EACH(link, &u->changes)
    {
        struct change *c = LIST_ITEM(link, struct change, link);

        if (*c->grave && unlinkat(u->root, c->grave, 0) < 0)
            return err_errno(err, errno, "%s", c->grave);
        graves |= *c->grave != '\0';
        change_forget(u, c);
    }
    MAP_EACH(entry, &u->files)
    {
        struct file *f = entry->value;

        file_commit_cut(u, f);
        if (graves && nameless(f))
            file_forget(u, f);
    }
    return 0;
}

int undo_sync_file(struct undo *u, int fd, struct err **err)
{
    char key[KEY_MAX];
    struct file *f;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "looking at a file");
    file_key(&st, key);
    if ((f = map_get(&u->files, key)))
        file_forget(u, f);
    return undo_sync_names(u, err);
}

int undo_sync(struct undo *u, struct err **err)
{
    MAP_EACH(entry, &u->files)
    file_forget(u, entry->value);
    return undo_sync_names(u, err);
}

/* How many bytes of a page are not those of the disk, of those that the disk has. */
static int page_differs(const struct file *f, const struct page *p, uint64_t *ret, struct err **err)
{
    unsigned char bytes[PAGE];
    size_t have = 0;
    int r = read_all(f->fd, bytes, p->len, p->number * PAGE, &have, err);

    if (r < 0)
        return r;
    *ret += p->len - have;
    for (size_t i = 0; i < have; i++)
        *ret += bytes[i] != p->bytes[i];
    return 0;
}

/* Bytes that were written from `from` on: a range that was only allocated holds none. */
static uint64_t written_from(int fd, off_t from)
{
    uint64_t n = 0;
    off_t data, hole;

    while ((data = lseek(fd, from, SEEK_DATA)) >= 0 && (hole = lseek(fd, data, SEEK_HOLE)) > data) {
        n += (uint64_t)(hole - data);
        from = hole;
    }
    return n;
}

static int file_unsynced(const struct file *f, uint64_t *ret, struct err **err)
{
    struct stat st;
    uint64_t n = 0;
    int r;

    if (fstat(f->fd, &st) < 0)
        return err_errno(err, errno, "looking at a file");
    if (st.st_nlink == 0)
        return 0;
    if (st.st_size > f->durable)
        n = written_from(f->fd, f->durable);
    for (size_t i = 0; i < f->n_pages; i++)
        if ((r = page_differs(f, &f->pages[i], &n, err)) < 0)
            return r;
    *ret = n;
    return 0;
}

int undo_unsynced(struct undo *u, struct undo_loss *ret, struct err **err)
{
    struct undo_loss loss = { .names = u->n_changes, .flushes = u->flushes };
    int r;

    MAP_EACH(entry, &u->files)
    {
        uint64_t n = 0;

        if ((r = file_unsynced(entry->value, &n, err)) < 0)
            return r;
        loss.bytes += n;
        loss.files += n > 0;
    }
    *ret = loss;
    return 0;
}

static int file_restore(const struct file *f, struct err **err)
{
    int r;

    if (ftruncate(f->fd, f->durable) < 0)
        return err_errno(err, errno, "taking writes back");
    for (size_t i = 0; i < f->n_pages; i++) {
        const struct page *p = &f->pages[i];

        if ((r = write_all(f->fd, p->bytes, p->len, p->number * PAGE, err)) < 0)
            return r;
    }
    return 0;
}

int undo_drop(struct undo *u, struct undo_loss *ret, struct err **err)
{
    struct undo_loss loss = { 0 };
    struct list_link *last;
    int r = undo_unsynced(u, &loss, err);

    if (r < 0)
        return r;
    MAP_EACH(entry, &u->files)
    {
        if ((r = file_restore(entry->value, err)) < 0)
            return r;
        file_forget(u, entry->value);
    }
    while ((last = list_last(&u->changes))) {
        struct change *c = LIST_ITEM(last, struct change, link);

        if (take_back(u, c) < 0)
            return err_errno(err, errno, "taking a change of %s back", c->path);
        change_forget(u, c);
    }
    *ret = loss;
    return 0;
}

/* --- All of it ------------------------------------------------------------------------------- */

/* Each file that has something to lose is kept open. */
static size_t files_allowed(void)
{
    struct rlimit limit = { .rlim_cur = 1024 };

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return (size_t)limit.rlim_cur / 2;
}

int undo_new(int root, size_t limit, struct undo **ret, struct err **err)
{
    CLEANUP_FREE char *graves = xasprintf("/proc/self/fd/%d/" UNDO_GRAVES, root);
    struct undo *u;
    int r = dir_remove(graves, err);

    if (r < 0)
        return r;
    if (mkdirat(root, UNDO_GRAVES, 0700) < 0)
        return err_errno(err, errno, "making " UNDO_GRAVES);
    u = xcalloc(1, sizeof(*u));
    u->root = root;
    u->limit = limit;
    u->max_files = files_allowed();
    list_init(&u->changes);
    *ret = u;
    return 0;
}

void undo_free(struct undo *u)
{
    if (!u)
        return;
    MAP_EACH(entry, &u->files)
    file_forget(u, entry->value);
    map_done(&u->files);
    LIST_EACH(link, &u->changes)
    change_forget(u, LIST_ITEM(link, struct change, link));
    unlinkat(u->root, UNDO_GRAVES, AT_REMOVEDIR); /* stays while somebody waits in it */
    free(u);
}
