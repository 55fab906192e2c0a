/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: see the header for the folder. Two locks. CACHE/warm/lock is held (exclusively)
 * by who makes a snapshot, so what is half made is nobody's but a dead rig's. DIGEST/in-use is held
 * (shared) as long as a snapshot is open; who wants to remove one needs it alone. A removed folder is
 * first renamed, so that nobody opens it meanwhile; whoever took the lock of one that was renamed
 * looks again.
 *
 * Files are compared by size and time, and read only when their time differs (a cache that was copied):
 * memory is large. A digest covers what is not zero, block by block with its place, so holes may come
 * and go.
 */

#include "rig/lab/warm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"

#define VERSION 3 /* count up when snapshots are to be made differently */
#define BLOCK 65536
#define SLICE_MS 200
#define ARCHIVE_MAX (512 << 20)
#define DRAFT ".new."
#define TRASH ".old."

static const char *const names[] = { "ram", "state", "disk.qcow2", "key" };

/* --- digests --------------------------------------------------------------------------------- */

static void to_hex(crypto_generichash_state *state, char hex[65])
{
    unsigned char raw[32];

    crypto_generichash_final(state, raw, sizeof(raw));
    sodium_bin2hex(hex, 65, raw, sizeof(raw));
}

static void add_text(crypto_generichash_state *state, const char *text)
{
    crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static int add_file(crypto_generichash_state *state, const char *path, size_t max, struct err **err)
{
    CLEANUP_FREE char *data = NULL;
    size_t len = 0;
    int r = file_read(path, max, &data, &len, err);

    if (r < 0)
        return r;
    crypto_generichash_update(state, (unsigned char *)data, len);
    return 0;
}

int warm_digest(const struct warm_shape *shape, char **ret, struct err **err)
{
    /* The image's folder may be made again with other bytes: its own sums say which these are. */
    CLEANUP_FREE char *sums = xasprintf("%s/SHA256SUMS", shape->image);
    crypto_generichash_state state;
    char hex[65], number[64];
    int r;

    crypto_generichash_init(&state, NULL, 0, 32);
    snprintf(number, sizeof(number), "%d %lu", VERSION, shape->emulator);
    add_text(&state, number);
    add_text(&state, shape->hardware);
    add_text(&state, shape->image);
    if ((r = add_file(&state, sums, WARM_META_MAX, err)) < 0)
        return r;
    for (size_t i = 0; shape->archives && shape->archives[i]; i++)
        if ((r = add_file(&state, shape->archives[i], ARCHIVE_MAX, err)) < 0)
            return r;
    to_hex(&state, hex);
    *ret = xstrndup(hex, 16);
    return 0;
}

static bool is_zero(const char *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* All of a file that is no hole; see above. */
static int sum_file(const char *path, char hex[65], struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *block = xmalloc(BLOCK);
    crypto_generichash_state state;
    int64_t at = 0;
    ssize_t n = 0;

    crypto_generichash_init(&state, NULL, 0, 32);
    while (fd >= 0 && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
        at -= at % BLOCK;
        if ((n = pread(fd, block, BLOCK, at)) <= 0)
            break;
        if (!is_zero(block, (size_t)n)) {
            crypto_generichash_update(&state, (unsigned char *)&at, sizeof(at));
            crypto_generichash_update(&state, (unsigned char *)block, (unsigned long long)n);
        }
        at += n;
    }
    if (fd < 0 || n < 0 || (at < 0 && errno != ENXIO))
        return err_errno(err, errno, "%s", path);
    to_hex(&state, hex);
    return 0;
}

/* --- meta.json ------------------------------------------------------------------------------- */

static int64_t time_ns(const struct stat *st)
{
    return st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

static int take_string(const json_t *from, const char *key, char *ret, size_t size,
                       struct err **err)
{
    const char *s = json_string_value(json_object_get(from, key));

    if (!s || !*s || strlen(s) >= size)
        return err_new(err, EPROTO, "\"%s\" is missing or no such text", key);
    memcpy(ret, s, strlen(s) + 1);
    return 0;
}

static int take_file(const json_t *from, struct warm_file *ret, struct err **err)
{
    const json_t *size = json_object_get(from, "size"), *time = json_object_get(from, "mtime_ns");
    int r;

    if ((r = take_string(from, "name", ret->name, sizeof(ret->name), err)) < 0 ||
        (r = take_string(from, "sum", ret->sum, sizeof(ret->sum), err)) < 0)
        return r;
    if (strchr(ret->name, '/'))
        return err_new(err, EPROTO, "\"name\": %s is no file's name", ret->name);
    if (!json_is_integer(size) || !json_is_integer(time))
        return err_new(err, EPROTO, "%s: no size or time", ret->name);
    ret->size = json_integer_value(size);
    ret->mtime_ns = json_integer_value(time);
    return 0;
}

static int take_meta(const json_t *from, struct warm_meta *ret, struct err **err)
{
    json_t *files = json_object_get(from, "files"), *file;
    size_t i;
    int r;

    if (json_integer_value(json_object_get(from, "warm")) != VERSION)
        return err_new(err, EPROTO, "not a snapshot of version %d", VERSION);
    if ((r = take_string(from, "nonce", ret->nonce, sizeof(ret->nonce), err)) < 0 ||
        (r = take_string(from, "host_key", ret->host_key, sizeof(ret->host_key), err)) < 0)
        return r;
    if (json_array_size(files) > ARRAY_LEN(ret->files))
        return err_new(err, EPROTO, "too many files");
    json_array_foreach(files, i, file) if ((r = take_file(file, &ret->files[ret->n_files++], err)) <
                                           0) return r;
    return 0;
}

int warm_meta_parse(const char *name, const char *text, size_t len, struct warm_meta *ret,
                    struct err **err)
{
    CLEANUP_JSON json_t *json = NULL;
    struct warm_meta meta = { 0 };
    int r = json_parse(text, len, WARM_META_MAX, &json, err);

    if (r < 0 || (r = take_meta(json, &meta, err)) < 0)
        return err_wrap(err, "%s", name);
    *ret = meta;
    return 0;
}

static int read_meta(const struct warm *w, struct warm_meta *ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/meta.json", w->dir), *text = NULL;
    size_t len = 0;
    int r = file_read(path, WARM_META_MAX, &text, &len, err);

    return r < 0 ? r : warm_meta_parse(path, text, len, ret, err);
}

/* Durable, so that it stands for files that are. */
static int write_meta(const struct warm *w, const struct warm_meta *meta, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/meta.json", w->dir), *text = NULL;
    CLEANUP_JSON json_t *files = json_array(), *json = NULL;

    for (size_t i = 0; i < meta->n_files; i++) {
        const struct warm_file *f = &meta->files[i];

        json_array_append_new(files, json_pack("{s:s, s:I, s:I, s:s}", "name", f->name, "size",
                                               (json_int_t)f->size, "mtime_ns",
                                               (json_int_t)f->mtime_ns, "sum", f->sum));
    }
    json = json_pack("{s:i, s:s, s:s, s:O}", "warm", VERSION, "nonce", meta->nonce, "host_key",
                     meta->host_key, "files", files);
    text = json_text(json);
    return file_replace(path, text, strlen(text), 0600, err);
}

/* --- one snapshot ---------------------------------------------------------------------------- */

static struct warm *warm_new(const char *cache_dir, const char *digest)
{
    struct warm *w = xcalloc(1, sizeof(*w));

    w->lock = -1;
    w->root = xasprintf("%s/warm", cache_dir);
    w->digest = xstrdup(digest);
    return w;
}

static void place_at(struct warm *w, const char *dir)
{
    char **const paths[] = { &w->ram, &w->state, &w->disk, &w->key };

    replace_str(&w->dir, dir);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        free(*paths[i]);
        *paths[i] = xasprintf("%s/%s", dir, names[i]);
    }
}

void warm_close(struct warm *w)
{
    if (!w)
        return;
    if (w->draft && w->dir)
        dir_remove(w->dir, NULL);
    if (w->lock >= 0)
        close(w->lock);
    free(w->dir);
    free(w->ram);
    free(w->state);
    free(w->disk);
    free(w->key);
    free(w->nonce);
    free(w->host_key);
    free(w->root);
    free(w->digest);
    free(w);
}

/* Takes the folder's lock. -ENOENT when there is no such folder any more. */
static int lock_in_use(const char *dir, int how, int *ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/in-use", dir);
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat mine, there;

    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    if (flock(fd, how | LOCK_NB) < 0)
        return err_errno(err, errno == EWOULDBLOCK ? EBUSY : errno, "%s", path);
    if (fstat(fd, &mine) < 0 || stat(path, &there) < 0 || mine.st_ino != there.st_ino)
        return err_new(err, ENOENT, "%s is gone", dir);
    *ret = steal_fd(&fd);
    return 0;
}

/* The folder's lock is held alone. */
static int remove_dir(const char *dir, struct err **err)
{
    const char *slash = strrchr(dir, '/');
    CLEANUP_FREE char *trash =
            xasprintf("%.*s/" TRASH "%s.%d", (int)(slash - dir), dir, slash + 1, (int)getpid());
    int r = dir_remove(trash, err);

    if (r < 0)
        return r;
    if (rename(dir, trash) < 0)
        return err_errno(err, errno, "%s", dir);
    return dir_remove(trash, err);
}

int warm_discard(struct warm *w, struct err **err)
{
    if (flock(w->lock, LOCK_EX | LOCK_NB) < 0)
        return err_new(err, EBUSY, "other machines stand on %s", w->dir);
    return remove_dir(w->dir, err);
}

static int check_file(const struct warm *w, const char *name, const struct warm_meta *meta,
                      bool *ret_touched, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", w->dir, name);
    const struct warm_file *f = NULL;
    struct stat st;
    char sum[65];
    int r;

    for (size_t i = 0; i < meta->n_files; i++)
        if (str_eq(meta->files[i].name, name))
            f = &meta->files[i];
    if (!f)
        return err_new(err, EPROTO, "meta.json does not tell of %s", name);
    if (stat(path, &st) < 0)
        return err_errno(err, errno, "%s", name);
    if (st.st_size != f->size)
        return err_new(err, EPROTO, "%s has %lld bytes in place of %lld", name,
                       (long long)st.st_size, (long long)f->size);
    if (time_ns(&st) == f->mtime_ns)
        return 0;
    if ((r = sum_file(path, sum, err)) < 0)
        return r;
    *ret_touched = true;
    return str_eq(sum, f->sum) ? 0 : err_new(err, EPROTO, "%s has other bytes", name);
}

static int fill_meta(const struct warm *w, bool sums, struct warm_meta *meta, struct err **err)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", w->dir, names[i]);
        struct warm_file *f = &meta->files[i];
        struct stat st;
        int r;

        if (stat(path, &st) < 0)
            return err_errno(err, errno, "%s", path);
        snprintf(f->name, sizeof(f->name), "%s", names[i]);
        f->size = st.st_size;
        f->mtime_ns = time_ns(&st);
        if (sums && (r = sum_file(path, f->sum, err)) < 0)
            return r;
    }
    meta->n_files = ARRAY_LEN(names);
    return 0;
}

static int check(struct warm *w, struct err **err)
{
    struct warm_meta meta = { 0 };
    bool touched = false;
    int r = read_meta(w, &meta, err);

    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(names); i++)
        r = check_file(w, names[i], &meta, &touched, err);
    if (r < 0)
        return r;
    /* Only so that the next one need not read all of it. */
    if (touched && fill_meta(w, /* sums= */ false, &meta, NULL) == 0)
        write_meta(w, &meta, NULL);
    w->nonce = xstrdup(meta.nonce);
    w->host_key = xstrdup(meta.host_key);
    return 0;
}

int warm_open(const char *cache_dir, const char *digest, struct warm **ret, char **ret_damage,
              struct err **err)
{
    CLEANUP(warm_close) struct warm *w = warm_new(cache_dir, digest);
    CLEANUP_FREE char *dir = xasprintf("%s/%s", w->root, digest);
    CLEANUP_ERR struct err *damage = NULL;
    int r;

    place_at(w, dir);
    if ((r = lock_in_use(dir, LOCK_SH, &w->lock, err)) < 0)
        return r;
    if (check(w, &damage) < 0) {
        *ret_damage = xstrdup(err_text(damage));
        if ((r = warm_discard(w, err)) < 0)
            return r;
        return err_new(err, ENOENT, "%s was damaged", dir);
    }
    futimens(w->lock, NULL); /* least recently used */
    *ret = steal_ptr(w);
    return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

static int take_lock(const struct warm *w, int (*interrupted)(void *userdata, struct err **err),
                     void (*waiting)(void *userdata), void *userdata, int *ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", w->root);
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    bool told = false;
    int r;

    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return err_errno(err, errno, "%s", path);
        if ((r = interrupted(userdata, err)) < 0)
            return r;
        if (!told && waiting)
            waiting(userdata);
        told = true;
        poll(NULL, 0, SLICE_MS);
    }
    *ret = steal_fd(&fd);
    return 0;
}

static int check_space(const struct warm *w, int64_t bytes, struct err **err)
{
    struct statvfs fs;
    int64_t have;

    if (statvfs(w->root, &fs) < 0)
        return err_errno(err, errno, "%s", w->root);
    have = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (have >= bytes)
        return 0;
    return err_new(err, ENOSPC, "%lld MiB are free in %s, a snapshot may take %lld MiB",
                   (long long)(have >> 20), w->root, (long long)(bytes >> 20));
}

/* What dead rigs left: the lock is held. A folder in the trash is somebody's only for a moment. */
static void sweep(const struct warm *w)
{
    DIR *d = opendir(w->root);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (str_starts(e->d_name, DRAFT) || str_starts(e->d_name, TRASH)) {
            CLEANUP_FREE char *path = xasprintf("%s/%s", w->root, e->d_name);

            dir_remove(path, NULL);
        }
    if (d)
        closedir(d);
}

static int make_draft(struct warm *w, struct err **err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/" DRAFT "%s", w->root, w->digest);
    CLEANUP_FREE char *in_use = xasprintf("%s/in-use", dir);
    unsigned char raw[32];
    char hex[65];
    int r;

    place_at(w, dir);
    if ((r = dir_make(dir, 0700, err)) < 0 || (r = file_write(in_use, "", 0, 0600, err)) < 0)
        return r;
    w->draft = true;
    randombytes_buf(raw, sizeof(raw));
    w->nonce = xstrdup(sodium_bin2hex(hex, sizeof(hex), raw, sizeof(raw)));
    return 0;
}

int warm_begin(const char *cache_dir, const char *digest, int64_t bytes,
               int (*interrupted)(void *userdata, struct err **err),
               void (*waiting)(void *userdata), void *userdata, struct warm **ret, struct err **err)
{
    CLEANUP(warm_close) struct warm *w = warm_new(cache_dir, digest);
    CLEANUP_FREE char *dir = xasprintf("%s/%s", w->root, digest);
    CLEANUP_FREE char *in_use = xasprintf("%s/in-use", dir);
    int r;

    if ((r = dir_make(w->root, 0711, err)) < 0 ||
        (r = take_lock(w, interrupted, waiting, userdata, &w->lock, err)) < 0)
        return r;
    if (file_exists(in_use))
        return err_new(err, EEXIST, "%s is there already", dir);
    sweep(w);
    if ((r = dir_remove(dir, err)) < 0 || (r = check_space(w, bytes, err)) < 0 ||
        (r = make_draft(w, err)) < 0)
        return r;
    *ret = steal_ptr(w);
    return 0;
}

static int sync_file(const char *path, struct err **err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? err_errno(err, errno, "%s", path) : 0;
}

struct aged {
    char *dir;
    int64_t used_ns;
};

static int newest_first(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;

    return (x->used_ns < y->used_ns) - (x->used_ns > y->used_ns);
}

/* All but the WARM_KEEP last used, and what is in use. */
static void prune(const struct warm *w)
{
    struct aged *all = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir(w->root);
    struct dirent *e;
    struct stat st;

    while (d && (e = readdir(d))) {
        CLEANUP_FREE char *dir = xasprintf("%s/%s", w->root, e->d_name);
        CLEANUP_FREE char *in_use = xasprintf("%s/in-use", dir);

        if (e->d_name[0] == '.' || stat(in_use, &st) < 0)
            continue;
        all = grow(all, n, &cap, sizeof(*all));
        all[n++] = (struct aged){ steal_ptr(dir), time_ns(&st) };
    }
    if (d)
        closedir(d);
    if (n > 0)
        qsort(all, n, sizeof(*all), newest_first);
    for (size_t i = 0; i < n; i++) {
        CLEANUP_CLOSE int lock = -1;

        if (i >= WARM_KEEP && lock_in_use(all[i].dir, LOCK_EX, &lock, NULL) == 0)
            remove_dir(all[i].dir, NULL);
        free(all[i].dir);
    }
    free(all);
}

int warm_finish(struct warm *w, struct err **err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/%s", w->root, w->digest);
    CLEANUP_CLOSE int lock = -1;
    struct warm_meta meta = { 0 };
    int r;

    snprintf(meta.nonce, sizeof(meta.nonce), "%s", w->nonce);
    snprintf(meta.host_key, sizeof(meta.host_key), "%s", w->host_key);
    /* Times are those of files whose writing is over. */
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", w->dir, names[i]);

        if ((r = sync_file(path, err)) < 0)
            return r;
    }
    if ((r = fill_meta(w, /* sums= */ true, &meta, err)) < 0 ||
        (r = write_meta(w, &meta, err)) < 0 || (r = lock_in_use(w->dir, LOCK_SH, &lock, err)) < 0)
        return r;
    if (rename(w->dir, dir) < 0)
        return err_errno(err, errno, "%s", dir);
    if ((r = sync_file(w->root, err)) < 0)
        return r;
    w->draft = false;
    place_at(w, dir);
    futimens(lock, NULL);
    prune(w);
    close(w->lock); /* the maker's; others may make now */
    w->lock = steal_fd(&lock);
    return 0;
}
