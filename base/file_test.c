/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

static char *in(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static int count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 2;
}

TEST(a_file_comes_back_as_it_was_written)
{
    CLEANUP_FREE char *path = in(check_tmpdir(), "f"), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct stat st;
    size_t len = 0;

    check_ok(file_write(path, "a\0b", 3, 0640, &err), err);
    check_ok(file_read(path, 3, &text, &len, &err), err);
    check_int(len, 3);
    check_true(memcmp(text, "a\0b", 4) == 0);
    check_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640);
    check_true(file_exists(path));
}

TEST(a_file_above_its_cap_or_absent_is_an_error_that_names_it)
{
    CLEANUP_FREE char *path = in(check_tmpdir(), "f"), *gone = in(check_tmpdir(), "gone");
    CLEANUP_ERR struct err *err = NULL;
    char *text = NULL;

    check_ok(file_write(path, "four", 4, 0600, &err), err);
    check_int(file_read(path, 3, &text, NULL, &err), -EFBIG);
    check_has(err_text(err), path);
    check_int(file_read(gone, 3, &text, NULL, &err), -ENOENT);
    check_has(err_text(err), gone);
    check_int(file_read("/", 3, &text, NULL, &err), -EISDIR);
    check_int(file_write("/dev/full", "x", 1, 0600, &err), -ENOSPC);
    check_has(err_text(err), "/dev/full");
    check_int(file_write("/no/such", "x", 1, 0600, &err), -ENOENT);
    check_true(!text);
    check_true(!file_exists(gone));
}

TEST(replacing_leaves_the_new_bytes_and_nothing_else)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = in(dir, "state.json"), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    mode_t mask = umask(077);
    struct stat st;

    check_ok(file_replace(path, "old", 3, 0644, &err), err);
    check_ok(file_replace(path, "new!", 4, 0644, &err), err);
    umask(mask);
    check_ok(file_read(path, 100, &text, NULL, &err), err);
    check_str(text, "new!");
    check_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644);
    check_int(count_entries(dir), 1);
}

TEST(a_replacement_that_fails_leaves_the_old_bytes_and_no_temporary_file)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *folder = in(dir, "folder"), *inner = in(dir, "folder/x"),
                      *nowhere = in(dir, "none/x");
    CLEANUP_ERR struct err *err = NULL;

    check_ok(dir_make(folder, 0755, &err), err);
    check_ok(file_write(inner, "", 0, 0600, &err), err);
    /* A folder that is not empty cannot be replaced by a file. */
    check_true(file_replace(folder, "x", 1, 0600, &err) < 0);
    check_has(err_text(err), folder);
    check_int(count_entries(dir), 1);
    check_int(file_replace(nowhere, "x", 1, 0600, &err), -ENOENT);
}

TEST(a_file_in_the_current_folder_can_be_replaced)
{
    CLEANUP_FREE char *before = getcwd(NULL, 0), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_true(before && chdir(check_tmpdir()) == 0);
    check_ok(file_replace("plain", "x", 1, 0600, &err), err);
    check_ok(file_read("plain", 10, &text, NULL, &err), err);
    check_str(text, "x");
    need_true(chdir(before) == 0);
}

TEST(folders_are_made_with_their_parents)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *deep = in(dir, "a//b/c/"), *file = in(dir, "f"), *below = in(dir, "f/x");
    CLEANUP_ERR struct err *err = NULL;

    check_ok(dir_make(deep, 0755, &err), err);
    check_ok(dir_make(deep, 0755, &err), err);
    check_true(file_exists(deep));
    check_ok(file_write(file, "", 0, 0600, &err), err);
    check_int(dir_make(file, 0755, &err), -ENOTDIR);
    check_int(dir_make(below, 0755, &err), -ENOTDIR);
    check_ok(dir_make("/", 0755, &err), err);
    check_int(dir_make("", 0755, &err), -ENOENT);
}

TEST(a_tree_is_removed_and_links_are_not_followed)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *tree = in(dir, "tree"), *deep = in(dir, "tree/a/b/c"),
                      *link = in(dir, "tree/a/link"), *broken = in(dir, "tree/broken"),
                      *other = in(dir, "other"), *kept = in(dir, "other/kept"),
                      *alias = in(dir, "alias"), *slashed = in(dir, "alias/");
    CLEANUP_ERR struct err *err = NULL;

    check_ok(dir_make(deep, 0755, &err), err);
    check_ok(dir_make(other, 0755, &err), err);
    check_ok(file_write(kept, "x", 1, 0600, &err), err);
    need_true(symlink(other, link) == 0 && symlink("/nowhere", broken) == 0);
    need_true(symlink(other, alias) == 0);

    check_ok(dir_remove(tree, &err), err);
    check_true(!file_exists(tree));
    check_ok(dir_remove(slashed, &err), err);
    check_true(access(alias, F_OK) < 0);
    check_true(file_exists(kept));
    check_ok(dir_remove(tree, &err), err);
    check_ok(dir_remove(kept, &err), err);
    check_true(!file_exists(kept));
}

TEST(the_root_and_dots_are_refused)
{
    static const char *const cases[] = { "", "/", "//", ".", "..", "./", "/tmp/..", "x/." };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", cases[i]);
        check_int(dir_remove(cases[i], &err), -EINVAL);
    }
}

TEST(removal_stops_at_a_mount_also_of_the_same_file_system)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *tree = in(dir, "tree"), *at = in(dir, "tree/mnt"), *src = in(dir, "src"),
                      *kept = in(dir, "src/kept");
    CLEANUP_ERR struct err *err = NULL;

    check_ok(dir_make(at, 0755, &err), err);
    check_ok(dir_make(src, 0755, &err), err);
    check_ok(file_write(kept, "x", 1, 0600, &err), err);
    if (mount(src, at, NULL, MS_BIND, NULL) < 0) {
        check_ok(dir_remove(tree, &err), err);
        check_skip("this process may not mount");
    }
    check_int(dir_remove(tree, &err), -EXDEV);
    check_has(err_text(err), at);
    check_true(file_exists(kept));
    check_int(umount(at), 0);
    check_ok(dir_remove(tree, &err), err);
}

CHECK_MAIN()
