/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/run_page.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static struct history history = { .run = { .scenario = (char[]){ "hello" } }, .ended = true };

static void evidence(const char *folder, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/evidence/%s", folder, name), *below = xstrdup(path);
    CLEANUP_ERR struct err *err = NULL;

    *strrchr(below, '/') = '\0';
    need_ok(dir_make(below, 0700, &err), err);
    need_ok(file_write(path, text, strlen(text), 0600, &err), err);
}

static char *page_of(const char *folder)
{
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_PAGE, folder);
    CLEANUP_ERR struct err *err = NULL;
    char *text = NULL;

    need_ok(run_page_write(folder, &history, ARGV("s3cr3t"), path, &err), err);
    need_ok(file_read(path, 1 << 20, &text, NULL, &err), err);
    return text;
}

TEST(the_page_shows_the_texts_of_the_evidence)
{
    const char *folder = check_tmpdir();
    CLEANUP_FREE char *text = NULL;

    evidence(folder, "logs/nats.log", "it knows s3cr3t & more\n");
    evidence(folder, "machines/edge-1/console.log", "Debian\n");
    text = page_of(folder);
    check_has(text, "it knows *** &amp; more");
    check_has(
            text,
            "<details><summary>edge-1</summary>\n<details class=\"texts\"><summary><span class=\"mono\">console.log</span>");
}

TEST(links_and_what_is_no_file_are_left_alone)
{
    const char *folder = check_tmpdir();
    CLEANUP_FREE char *link = xasprintf("%s/evidence/passwd", folder);
    CLEANUP_FREE char *fifo = xasprintf("%s/evidence/fifo", folder), *text = NULL;

    evidence(folder, "a", "here\n");
    need_true(symlink("/etc/passwd", link) == 0 && mkfifo(fifo, 0600) == 0);
    text = page_of(folder);
    check_has(text, "here");
    check_true(!strstr(text, "root:"));
}

/* A limit on the size of files fails a write as a full disk does. */
TEST(a_page_that_does_not_fit_is_told_and_leaves_nothing)
{
    const char *folder = check_tmpdir();
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_PAGE, folder);
    CLEANUP_ERR struct err *err = NULL;
    struct rlimit before, small;
    DIR *dir;

    need_true(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){ 1000, before.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    need_true(setrlimit(RLIMIT_FSIZE, &small) == 0);
    check_true(run_page_write(folder, &history, NULL, path, &err) < 0);
    need_true(setrlimit(RLIMIT_FSIZE, &before) == 0);
    check_has(err_text(err), "report.html: File too large");
    dir = opendir(folder);
    need_true(dir);
    for (struct dirent *e; (e = readdir(dir));)
        check_true(str_eq(e->d_name, ".") || str_eq(e->d_name, ".."));
    closedir(dir);
}

TEST(an_older_page_stays_when_a_new_one_does_not_fit)
{
    const char *folder = check_tmpdir();
    CLEANUP_FREE char *path = xasprintf("%s/" RUN_PAGE, folder), *text = NULL;
    struct rlimit before, small;

    need_true(file_write(path, "old", 3, 0644, NULL) >= 0);
    need_true(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){ 1000, before.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    need_true(setrlimit(RLIMIT_FSIZE, &small) == 0);
    check_true(run_page_write(folder, &history, NULL, path, NULL) < 0);
    need_true(setrlimit(RLIMIT_FSIZE, &before) == 0);
    need_true(file_read(path, 1 << 20, &text, NULL, NULL) >= 0);
    check_str(text, "old");
}

CHECK_MAIN()
