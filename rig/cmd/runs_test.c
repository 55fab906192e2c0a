/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/runs.h"

#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

static char *path(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

/* A finished run of long ago, with a lab that its death left behind. */
static void old_run(const char *dir, const char *name)
{
    CLEANUP_FREE char *lab = xasprintf("%s/%s/lab/machines", dir, name);
    CLEANUP_FREE char *lock = xasprintf("%s/%s/lock", dir, name);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(lab, 0700, &err), err);
    need_ok(file_write(lock, "", 0, 0600, &err), err);
}

static bool there(const char *dir, const char *name)
{
    CLEANUP_FREE char *p = path(dir, name);

    return file_exists(p);
}

TEST(a_folder_is_named_for_its_run_and_loses_only_its_lab_at_the_end)
{
    CLEANUP(run_folder_free) struct run_folder *f = NULL;
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *lab = NULL, *kept = NULL;

    need_ok(run_folder_new(check_tmpdir(), "hello", &f, &err), err);
    check_has(f->path, "Z-hello-");
    lab = path(f->path, "lab");
    kept = path(f->path, "junit.xml");
    need_ok(dir_make(lab, 0700, &err), err);
    need_ok(file_write(kept, "x", 1, 0644, &err), err);
    run_folder_free(steal_ptr(f));
    check_true(!file_exists(lab));
    check_true(file_exists(kept));
}

TEST(folders_made_at_once_differ_and_sort_by_time)
{
    CLEANUP_FREE char *last = xstrdup("");
    const char *dir = check_tmpdir();

    for (int i = 0; i < 50; i++) {
        CLEANUP_ERR struct err *err = NULL;
        char *path = NULL;

        need_ok(run_folder_make(dir, i % 2 ? "a" : "b", &path, &err), err);
        check_true(strcmp(path, last) > 0);
        free(last);
        last = path;
    }
}

TEST(a_folder_that_cannot_be_made_is_named)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *file = path(check_tmpdir(), "file"), *made = NULL;

    need_ok(file_write(file, "", 0, 0600, &err), err);
    check_true(run_folder_make(file, "hello", &made, &err) < 0);
    check_has(err_text(err), file);
}

TEST(the_newest_runs_are_kept_and_dead_labs_are_not)
{
    const char *dir = check_tmpdir();

    old_run(dir, "20260101T000000Z-a-1");
    old_run(dir, "20260102T000000Z-a-2");
    old_run(dir, "20260103T000000Z-a-3");
    run_folders_prune(dir, /* keep= */ 2);
    check_true(!there(dir, "20260101T000000Z-a-1"));
    check_true(there(dir, "20260102T000000Z-a-2"));
    check_true(there(dir, "20260103T000000Z-a-3"));
    check_true(!there(dir, "20260103T000000Z-a-3/lab"));
}

TEST(a_run_that_lasts_and_what_is_no_run_are_left_alone)
{
    const char *dir = check_tmpdir();
    CLEANUP(run_folder_free) struct run_folder *f = NULL;
    CLEANUP_FREE char *lab = NULL, *other = path(dir, "0-somebody-elses");
    CLEANUP_ERR struct err *err = NULL;

    need_ok(run_folder_new(dir, "hello", &f, &err), err);
    lab = path(f->path, "lab");
    need_ok(dir_make(lab, 0700, &err), err);
    need_ok(dir_make(other, 0700, &err), err);
    run_folders_prune(dir, /* keep= */ 0);
    check_true(file_exists(lab));
    check_true(file_exists(other));
}

CHECK_MAIN()
