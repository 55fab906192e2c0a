/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/store.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

struct reading {
    struct buf found; /* "name wanted bytes;" */
    int damaged;
    char *why;
};

static void on_found(const char *deployment, bool wanted, const char *bytes, size_t len,
                     void *userdata)
{
    struct reading *r = userdata;

    buf_addf(&r->found, "%s %s %.*s;", deployment, wanted ? "wanted" : "gone", (int)len, bytes);
}

static void on_damaged(const char *path, const struct err *why, void *userdata)
{
    struct reading *r = userdata;

    (void)path;
    r->damaged++;
    replace_str(&r->why, err_text(why));
}

static void reading_done(struct reading *r)
{
    buf_done(&r->found);
    free(r->why);
}
#define CLEANUP_READING __attribute__((cleanup(reading_done)))

static void read_all(const char *dir, struct reading *r)
{
    CLEANUP(store_free) struct store *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct store_reader reader = { on_found, on_damaged, r };

    *r = (struct reading){ .found = BUF_INIT(1 << 20) };
    check_ok(store_new(dir, &s, &err), err);
    check_ok(store_load(s, &reader, &err), err);
}

TEST(what_was_stored_is_found_again)
{
    CLEANUP(store_free) struct store *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_READING struct reading r, later, last;
    CLEANUP_FREE char *dir = xasprintf("%s/a/b", check_tmpdir());
    static const char binary[] = "two\nlines\n";

    need_ok(store_new(dir, &s, &err), err);
    check_ok(store_want(s, "hello", "old", 3, &err), err);
    check_ok(store_want(s, "hello", binary, strlen(binary), &err), err);
    read_all(dir, &r);
    check_str(buf_str(&r.found), "hello wanted two\nlines\n;");
    check_int(r.damaged, 0);

    check_ok(store_unwant(s, "hello", &err), err);
    read_all(dir, &later);
    check_str(buf_str(&later.found), "hello gone ;");
    check_ok(store_forget(s, "hello", &err), err);
    check_ok(store_forget(s, "hello", &err), err);
    read_all(dir, &last);
    check_str(buf_str(&last.found), "");
}

TEST(the_longest_name_has_a_file)
{
    CLEANUP(store_free) struct store *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_READING struct reading r;
    const char *dir = check_tmpdir();
    char name[254];
    CLEANUP_FREE char *want = NULL;

    memset(name, 'n', 253);
    name[253] = '\0';
    need_ok(store_new(dir, &s, &err), err);
    check_ok(store_want(s, name, "x", 1, &err), err);
    read_all(dir, &r);
    want = xasprintf("%s wanted x;", name);
    check_str(buf_str(&r.found), want);
    check_ok(store_forget(s, name, &err), err);
}

TEST(a_damaged_file_is_told_and_left_and_others_are_found)
{
    CLEANUP(store_free) struct store *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = xasprintf("%s/desired/hello.score", dir), *whole = NULL;
    size_t len;

    need_ok(store_new(dir, &s, &err), err);
    check_ok(store_want(s, "hello", "some bytes", 10, &err), err);
    check_ok(store_want(s, "other", "bytes", 5, &err), err);
    need_ok(file_read(path, 4096, &whole, &len, &err), err);
    for (size_t i = 0; i <= len; i++) {
        CLEANUP_READING struct reading r;
        CLEANUP_FREE char *bad = xmalloc(len);

        memcpy(bad, whole, len);
        if (i < len) {
            check_case("bit flipped in byte %zu", i);
            bad[i] ^= 1;
            need_ok(file_write(path, bad, len, 0600, &err), err);
        } else {
            check_case("cut");
            need_ok(file_write(path, bad, len - 1, 0600, &err), err);
        }
        read_all(dir, &r);
        check_int(r.damaged, 1);
        check_str(buf_str(&r.found), "other wanted bytes;");
        check_true(file_exists(path));
    }
    check_ok(store_want(s, "hello", "new", 3, &err), err);
    {
        CLEANUP_READING struct reading r;

        read_all(dir, &r);
        check_int(r.damaged, 0);
    }
}

TEST(a_folder_that_cannot_be_made_is_an_error)
{
    CLEANUP(store_free) struct store *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_true(store_new("/proc/none", &s, &err) < 0);
    check_has(err_text(err), "/proc/none");
}

CHECK_MAIN()
