/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static void put(const char *dir, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0644, &err), err);
}

static int go_on(void *userdata, struct err **err)
{
    (void)userdata;
    (void)err;
    return 0;
}

static int stop(void *userdata, struct err **err)
{
    (void)userdata;
    return err_new(err, ECANCELED, "interrupted");
}

static struct warm *begin(const char *cache, const char *digest)
{
    CLEANUP_ERR struct err *err = NULL;
    struct warm *w = NULL;

    need_ok(warm_begin(cache, digest, 1 << 20, go_on, NULL, NULL, &w, &err), err);
    return w;
}

static void fill(const struct warm *w)
{
    put(w->dir, "ram", "memory, most of it");
    put(w->dir, "state", "registers and devices");
    put(w->dir, "disk.qcow2", "QFI and so on");
    put(w->dir, "key", "a private key");
}

/* A whole one; *ret stays open. */
static struct warm *make(const char *cache, const char *digest)
{
    CLEANUP_ERR struct err *err = NULL;
    struct warm *w = begin(cache, digest);

    fill(w);
    w->host_key = xstrdup("SHA256:a/b+c");
    need_ok(warm_finish(w, &err), err);
    return w;
}

TEST(what_was_saved_is_found_again)
{
    const char *cache = check_tmpdir();
    CLEANUP(warm_close) struct warm *made = make(cache, "d1"), *found = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *damage = NULL;

    need_ok(warm_open(cache, "d1", &found, &damage, &err), err);
    check_true(damage == NULL);
    check_str(found->nonce, made->nonce);
    check_int(strlen(found->nonce), 64);
    check_str(found->host_key, "SHA256:a/b+c");
    check_true(file_exists(found->ram) && file_exists(found->state) && file_exists(found->key));
    check_int(warm_open(cache, "d2", &found, &damage, NULL), -ENOENT);
    check_true(damage == NULL);
}

TEST(the_digest_tells_apart_what_snapshots_are_made_of)
{
    const char *dir = check_tmpdir(), *other = check_tmpdir();
    CLEANUP_FREE char *a = xasprintf("%s/a.tar", dir), *b = xasprintf("%s/b.tar", dir);
    const char *archives[] = { a, NULL }, *others[] = { b, NULL };
    struct warm_shape plain = { "<domain/>", 10000013, dir, archives };
    struct {
        const char *what;
        struct warm_shape shape;
    } cases[] = { { "hardware", plain },
                  { "emulator", plain },
                  { "image", plain },
                  { "archives", plain },
                  { "no archives", plain } };
    CLEANUP_FREE char *first = NULL, *again = NULL;
    CLEANUP_ERR struct err *err = NULL;

    put(dir, "SHA256SUMS", "1 disk");
    put(other, "SHA256SUMS", "2 disk");
    put(dir, "a.tar", "a");
    put(dir, "b.tar", "b");
    cases[0].shape.hardware = "<domain></domain>";
    cases[1].shape.emulator++;
    cases[2].shape.image = other;
    cases[3].shape.archives = others;
    cases[4].shape.archives = NULL;
    need_ok(warm_digest(&plain, &first, &err), err);
    need_ok(warm_digest(&plain, &again, &err), err);
    check_str(again, first);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *digest = NULL;

        check_case("%s", cases[i].what);
        need_ok(warm_digest(&cases[i].shape, &digest, &err), err);
        check_true(!str_eq(digest, first));
    }
    check_case("an image that was built again");
    put(dir, "SHA256SUMS", "3 disk");
    free(again);
    need_ok(warm_digest(&plain, &again, &err), err);
    check_true(!str_eq(again, first));
}

static void flip(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    char c = 0;

    need_true(fd >= 0 && pread(fd, &c, 1, 3) == 1);
    c ^= 1;
    need_true(pwrite(fd, &c, 1, 3) == 1);
}

static void damage(const struct warm *w, const char *how, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", w->dir, name);

    if (str_eq(how, "missing"))
        need_true(unlink(path) == 0);
    else if (str_eq(how, "flipped"))
        flip(path);
    else if (str_eq(how, "cut"))
        need_true(truncate(path, 3) == 0);
    else
        put(w->dir, name, how);
}

TEST(a_damaged_one_is_removed_and_said_to_be)
{
    static const struct {
        const char *how, *name, *said;
    } cases[] = {
        { "missing", "ram", "ram: No such file" },
        { "flipped", "ram", "ram has other bytes" },
        { "cut", "ram", "ram has 3 bytes in place of 18" },
        { "flipped", "state", "state has other bytes" },
        { "missing", "disk.qcow2", "disk.qcow2: No such file" },
        { "flipped", "disk.qcow2", "disk.qcow2 has other bytes" },
        { "missing", "meta.json", "meta.json" },
        { "{}", "meta.json", "not a snapshot of version" },
        { "", "meta.json", "meta.json" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *cache = check_tmpdir();
        struct warm *w = make(cache, "d1"), *found = NULL;
        CLEANUP_FREE char *dir = xstrdup(w->dir), *said = NULL;

        check_case("%s %s", cases[i].how, cases[i].name);
        damage(w, cases[i].how, cases[i].name);
        warm_close(w);
        check_int(warm_open(cache, "d1", &found, &said, NULL), -ENOENT);
        check_has(said ? said : "", cases[i].said);
        check_true(!file_exists(dir));
        warm_close(make(cache, "d1"));
        check_true(file_exists(dir));
    }
}

TEST(one_whose_times_differ_is_read_and_then_trusted)
{
    const char *cache = check_tmpdir();
    struct warm *w = make(cache, "d1");
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *said = NULL, *meta = xasprintf("%s/meta.json", w->dir);
    CLEANUP_FREE char *before = NULL, *after = NULL;

    need_ok(file_read(meta, WARM_META_MAX, &before, NULL, &err), err);
    utimensat(AT_FDCWD, w->ram, (struct timespec[]){ { 5, 5 }, { 5, 5 } }, 0);
    warm_close(w);
    w = NULL;
    need_ok(warm_open(cache, "d1", &w, &said, &err), err);
    need_ok(file_read(meta, WARM_META_MAX, &after, NULL, &err), err);
    check_true(!str_eq(before, after));
    check_has(after, "\"mtime_ns\":5000000005");
    warm_close(w);
}

TEST(one_that_another_rig_stands_on_is_not_removed)
{
    const char *cache = check_tmpdir();
    CLEANUP(warm_close) struct warm *mine = make(cache, "d1"), *theirs = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *said = NULL;

    need_ok(warm_open(cache, "d1", &theirs, &said, &err), err);
    check_int(warm_discard(mine, &err), -EBUSY);
    check_true(file_exists(mine->ram));
    warm_close(steal_ptr(theirs));
    check_ok(warm_discard(mine, &err), err);
    check_true(!file_exists(mine->ram));
}

TEST(the_least_recently_used_go_but_none_in_use)
{
    const char *cache = check_tmpdir();
    CLEANUP_FREE char *in_use = xasprintf("%s/warm/old/in-use", cache);
    CLEANUP_FREE char *older = xasprintf("%s/warm/older", cache);
    CLEANUP_FREE char *unused = xasprintf("%s/warm/unused", cache);
    CLEANUP(warm_close) struct warm *old = make(cache, "old"), *new = NULL;

    utimensat(AT_FDCWD, in_use, (struct timespec[]){ { 5, 0 }, { 5, 0 } }, 0);
    warm_close(make(cache, "unused"));
    warm_close(make(cache, "older"));
    new = make(cache, "new");
    check_true(file_exists(old->ram)); /* it is in use */
    check_true(!file_exists(unused));
    check_true(file_exists(older));
    check_true(file_exists(new->ram));
}

TEST(what_a_dead_rig_left_half_made_goes_with_the_next_one)
{
    const char *cache = check_tmpdir();
    CLEANUP_FREE char *half = xasprintf("%s/warm/.new.d7", cache);
    pid_t pid = fork();

    if (pid == 0) {
        fill(begin(cache, "d7"));
        _exit(0); /* as if killed: nothing is closed or removed */
    }
    waitpid(pid, NULL, 0);
    check_true(file_exists(half));
    warm_close(begin(cache, "d1"));
    check_true(!file_exists(half));
}

TEST(a_draft_that_is_given_up_leaves_nothing)
{
    const char *cache = check_tmpdir();
    struct warm *w = begin(cache, "d1");
    CLEANUP_FREE char *dir = xstrdup(w->dir);

    fill(w);
    warm_close(w);
    check_true(!file_exists(dir));
}

static void tell(void *userdata)
{
    ++*(int *)userdata;
}

TEST(two_rigs_at_once_make_one)
{
    const char *cache = check_tmpdir();
    struct warm *w = begin(cache, "d1"), *second = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int waited = 0;

    check_int(warm_begin(cache, "d1", 1, stop, tell, &waited, &second, &err), -ECANCELED);
    fill(w);
    w->host_key = xstrdup("SHA256:a/b+c");
    need_ok(warm_finish(w, &err), err);
    check_int(warm_begin(cache, "d1", 1, stop, tell, &waited, &second, NULL), -EEXIST);
    check_int(waited, 0);
    warm_close(w);
}

TEST(no_room_and_no_right_to_write_are_told_before_anything_boots)
{
    const char *cache = check_tmpdir();
    CLEANUP_FREE char *file = xasprintf("%s/file", cache);
    CLEANUP_ERR struct err *full = NULL, *refused = NULL;
    struct warm *w = NULL;

    check_int(warm_begin(cache, "d1", INT64_MAX, go_on, NULL, NULL, &w, &full), -ENOSPC);
    check_has(err_text(full), "MiB are free in");
    put(cache, "file", "");
    check_true(warm_begin(file, "d1", 1, go_on, NULL, NULL, &w, &refused) < 0);
    check_has(err_text(refused), "file/warm");
}

TEST(meta_that_is_none_is_refused)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "", "m:" },
        { "[]", "version" },
        { "{\"warm\":1}", "version" },
        { "{\"warm\":3,\"nonce\":\"n\"}", "host_key" },
        { "{\"warm\":3,\"nonce\":\"n\",\"host_key\":\"h\",\"files\":[{\"name\":\"../x\",\"sum\":\"b\"}]}",
          "name" },
        { "{\"warm\":3,\"nonce\":\"n\",\"host_key\":\"h\",\"files\":[{\"name\":\"a\",\"sum\":\"b\"}]}",
          "no size or time" },
        { "{\"warm\":3,\"nonce\":\"n\",\"host_key\":\"h\",\"files\":[1,2,3,4,5,6,7,8,9]}",
          "too many files" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct warm_meta meta;

        check_case("%s", cases[i].text);
        check_true(warm_meta_parse("m", cases[i].text, strlen(cases[i].text), &meta, &err) < 0);
        check_has(err_text(err), cases[i].said);
    }
}

CHECK_MAIN()
