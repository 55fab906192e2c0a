/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/runs.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static char *path(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

/* A finished run of long ago, perhaps with a lab that its death left behind. */
static void old_run(const char *dir, const char *name, bool lab)
{
    CLEANUP_FREE char *folder = xasprintf("%s/%s%s", dir, name, lab ? "/lab/machines" : "");
    CLEANUP_FREE char *lock = xasprintf("%s/%s/lock", dir, name);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(folder, 0700, &err), err);
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

static void note(const char *line, void *userdata)
{
    char ***lines = userdata;

    strv_add(lines, line);
}

/* What healing says, a line each. The caller frees it. */
static char *heal_all(const char *dir, bool dry, int want, size_t want_n)
{
    CLEANUP_STRV char **lines = NULL;
    size_t n = 0;

    check_int(run_folders_heal(dir, dry, note, &lines, &n), want);
    check_int((int64_t)n, (int64_t)want_n);
    return strv_join(lines, "\n");
}

TEST(the_newest_runs_are_kept_and_none_that_left_a_lab_is_removed)
{
    const char *dir = check_tmpdir();

    old_run(dir, "20260101T000000Z-a-1", /* lab= */ false);
    old_run(dir, "20260102T000000Z-a-2", /* lab= */ true);
    old_run(dir, "20260103T000000Z-a-3", /* lab= */ false);
    old_run(dir, "20260104T000000Z-a-4", /* lab= */ false);
    run_folders_prune(dir, /* keep= */ 1);
    check_true(!there(dir, "20260101T000000Z-a-1"));
    check_true(there(dir, "20260102T000000Z-a-2/lab"));
    check_true(!there(dir, "20260103T000000Z-a-3"));
    check_true(there(dir, "20260104T000000Z-a-4"));
}

TEST(labs_of_dead_runs_go_once)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *dry = NULL, *said = NULL, *again = NULL, *want = NULL;

    old_run(dir, "20260101T000000Z-a-1", /* lab= */ true);
    old_run(dir, "20260102T000000Z-a-2", /* lab= */ false);
    dry = heal_all(dir, /* dry= */ true, 0, 1);
    check_has(dry, "  would remove ");
    check_true(there(dir, "20260101T000000Z-a-1/lab"));
    said = heal_all(dir, /* dry= */ false, 0, 1);
    want = xasprintf("%s/20260101T000000Z-a-1\n  removing %s/20260101T000000Z-a-1/lab", dir, dir);
    check_str(said, want);
    check_true(there(dir, "20260101T000000Z-a-1"));
    check_true(!there(dir, "20260101T000000Z-a-1/lab"));
    again = heal_all(dir, /* dry= */ false, 0, 0);
    check_str(again, "");
}

TEST(a_ledger_of_another_version_is_told_and_its_lab_stays)
{
    const char *dir = check_tmpdir();
    static const char text[] = "{\"ledger\":2,\"pid\":1}\n";
    CLEANUP_FREE char *ledger = path(dir, "20260101T000000Z-a-1/lab/ledger.jsonl"), *said = NULL;
    CLEANUP_ERR struct err *err = NULL;

    old_run(dir, "20260101T000000Z-a-1", /* lab= */ true);
    need_ok(file_write(ledger, text, strlen(text), 0600, &err), err);
    said = heal_all(dir, /* dry= */ false, -EBUSY, 0);
    check_has(said, "is of version 2, this rig knows version 1\n");
    check_has(said, "with the rig that made it");
    check_true(there(dir, "20260101T000000Z-a-1/lab"));
    run_folders_prune(dir, 0);
    check_true(there(dir, "20260101T000000Z-a-1/lab"));
}

TEST(a_run_that_lasts_and_what_is_no_run_are_left_alone)
{
    const char *dir = check_tmpdir();
    CLEANUP(run_folder_free) struct run_folder *f = NULL;
    CLEANUP_FREE char *lab = NULL, *other = path(dir, "0-somebody-elses"), *said = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(run_folder_new(dir, "hello", &f, &err), err);
    lab = path(f->path, "lab");
    need_ok(dir_make(lab, 0700, &err), err);
    need_ok(dir_make(other, 0700, &err), err);
    run_folders_prune(dir, /* keep= */ 0);
    said = heal_all(dir, /* dry= */ false, 0, 0);
    check_true(file_exists(lab));
    check_true(file_exists(other));
}

static const struct {
    const char *wanted, *name, *error;
} finds[] = {
    { NULL, "20260423T000000Z-power-cycle-3", NULL },
    { "20260421T000000Z-hello-1", "20260421T000000Z-hello-1", NULL },
    { "20260422", "20260422T000000Z-hello-2", NULL },
    { "hello", "20260422T000000Z-hello-2", NULL },
    { "power-cycle", "20260423T000000Z-power-cycle-3", NULL },
    { "2026", NULL, "several runs begin with 2026: 20260423T000000Z-power-cycle-3, " },
    { "cycle", NULL, "there is no run cycle in " },
    { "./nowhere", NULL, "./nowhere: No such file" },
};

TEST(a_run_is_found_by_what_people_call_it)
{
    static const char *const names[] = { "20260421T000000Z-hello-1", "20260421T000000Z-hello-12",
                                         "20260422T000000Z-hello-2",
                                         "20260423T000000Z-power-cycle-3" };
    const char *dir = check_tmpdir();

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        old_run(dir, names[i], /* lab= */ false);
    for (size_t i = 0; i < ARRAY_LEN(finds); i++) {
        CLEANUP_FREE char *found = NULL, *want = NULL;
        CLEANUP_ERR struct err *err = NULL;
        int r = run_folder_find(dir, finds[i].wanted, &found, &err);

        check_case("%s", finds[i].wanted ? finds[i].wanted : "the last");
        if (finds[i].name)
            want = path(dir, finds[i].name);
        check_str(found, want);
        check_int(r < 0, finds[i].error != NULL);
        if (r < 0)
            check_has(err_text(err), finds[i].error);
    }
}

TEST(a_run_is_found_by_a_path)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *folder = path(dir, "20260421T000000Z-hello-1"), *found = NULL;
    CLEANUP_FREE char *file = xasprintf("%s/lock", folder), *again = NULL;
    CLEANUP_ERR struct err *err = NULL;

    old_run(dir, "20260421T000000Z-hello-1", /* lab= */ false);
    need_ok(run_folder_find("/nowhere", folder, &found, &err), err);
    check_str(found, folder);
    need_ok(run_folder_find("/nowhere", file, &again, &err), err);
    check_str(again, folder);
}

TEST(where_nothing_ran_there_is_no_last_run)
{
    CLEANUP_FREE char *found = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_int(run_folder_find("/nowhere", NULL, &found, &err), -ENOENT);
    check_str(err_text(err), "there are no runs in /nowhere");
    check_true(!run_folders_list("/nowhere"));
}

CHECK_MAIN()
