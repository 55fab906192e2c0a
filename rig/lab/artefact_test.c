/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/artefact.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

static void recipe(const char *dir, const char *name, const char *script)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s.sh", dir, name);
    CLEANUP_FREE char *text = xasprintf("#!/bin/sh\n%s", script);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0755, &err), err);
}

static void note(const char *line, void *userdata)
{
    buf_addf(userdata, "%s|", line);
}

TEST(recipes_run_side_by_side_and_name_their_folders)
{
    CLEANUP_BUF struct buf said = BUF_INIT(4096);
    struct artefact items[] = { { .recipe = "one", .argument = "amd64" }, { .recipe = "two" } };
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *one = xasprintf("%s/one-amd64", dir);

    /* Each waits for the other: one after the other they would never end. */
    recipe(dir, "one",
           "cd \"$(dirname \"$0\")\"; touch one-here; until [ -e two-here ]; do sleep 0.05; done\n"
           "echo 'one: built' >&2; mkdir one-$1; echo noise; echo $PWD/one-$1");
    recipe(dir, "two",
           "cd \"$(dirname \"$0\")\"; touch two-here; until [ -e one-here ]; do sleep 0.05; done\n"
           "printf 'two: built\\n' >&2; echo $PWD");
    need_ok(artefacts_ensure(dir, items, 2, NULL, note, &said, &err), err);
    check_str(items[0].dir, one);
    check_str(items[1].dir, dir);
    check_has(buf_str(&said), "one: built|");
    check_has(buf_str(&said), "two: built|");
    artefacts_done(items, 2);
    check_true(!items[0].dir);
}

TEST(a_failure_quotes_the_recipe_and_ends_the_others)
{
    struct artefact items[] = { { .recipe = "bad" }, { .recipe = "slow" } };
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *cleaned = xasprintf("%s/cleaned", dir);
    int64_t start = clock_mono_ms();

    recipe(dir, "bad",
           "until [ -e \"$(dirname \"$0\")/slow-here\" ]; do sleep 0.05; done\n"
           "for i in 1 2 3 4; do echo word $i >&2; done; exit 7");
    recipe(dir, "slow",
           "cd \"$(dirname \"$0\")\"; trap 'touch cleaned; exit 143' TERM; touch slow-here\n"
           "while :; do sleep 0.1; done");
    check_int(artefacts_ensure(dir, items, 2, NULL, NULL, NULL, &err), -EIO);
    check_has(err_text(err), "images/bad.sh exited with status 7\n  word 2\n  word 3\n  word 4");
    check_true(file_exists(cleaned));
    check_true(clock_mono_ms() - start < 9000);
    artefacts_done(items, 2);
}

TEST(an_interruption_ends_them)
{
    struct artefact items[] = { { .recipe = "slow" } };
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    volatile sig_atomic_t stop = 1;

    recipe(dir, "slow", "exec sleep 100");
    check_int(artefacts_ensure(dir, items, 1, &stop, NULL, NULL, &err), -ECANCELED);
}

TEST(an_answer_that_is_no_folder_is_an_error)
{
    struct artefact items[] = { { .recipe = "liar" }, { .recipe = "absent" } };
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();

    recipe(dir, "liar", "echo /nonexistent/folder");
    check_int(artefacts_ensure(dir, items, 1, NULL, NULL, NULL, &err), -EIO);
    check_has(err_text(err), "\"/nonexistent/folder\"");
    recipe(dir, "liar", "true");
    check_int(artefacts_ensure(dir, items, 1, NULL, NULL, NULL, &err), -EIO);
    check_true(artefacts_ensure(dir, items, 2, NULL, NULL, NULL, &err) < 0);
    check_has(err_text(err), "building absent");
}

CHECK_MAIN()
