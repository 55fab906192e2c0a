/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * For tests: rig-lossyfs as a child, its mount in a namespace of the test program, and operations
 * written as words, separated by "; ":
 *
 *   write PATH TEXT     from the beginning, made if absent     put PATH TEXT       with O_TRUNC
 *   append PATH TEXT    with O_APPEND                          durable PATH TEXT   append with O_DSYNC
 *   truncate PATH SIZE, fsync PATH, fdatasync PATH (of a file or a folder)
 *   mkdir PATH, rmdir PATH, unlink PATH, rename FROM TO, exchange A B, symlink TARGET PATH
 *   drop, sync          commands to rig-lossyfs
 *
 * An operation answers 0 or the errno.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define PLAY_MS 10000
#define PLAY_TEXT_MAX (1 << 20)

struct play {
    struct proc proc;
    int in;    /* its standard input, ours to write */
    FILE *out; /* its standard output */
    char *disk, *mount;
};

/* Skips where it cannot be. Mounts of this program are its own from here on. */
static void play_need_fuse(void)
{
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0)
        check_skip("mounting takes root and /dev/fuse");
    need_true(unshare(CLONE_NEWNS) == 0);
    need_true(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static char *play_answer(struct play *p)
{
    char line[256];

    if (!fgets(line, sizeof(line), p->out))
        return xstrdup("(end of file)");
    line[strcspn(line, "\n")] = '\0';
    return xstrdup(line);
}

/* One command's answer. The caller frees it. */
static char *play_say(struct play *p, const char *command)
{
    dprintf(p->in, "%s\n", command);
    return play_answer(p);
}

static void play_start(struct play *p, const char *option)
{
    CLEANUP_FREE char *program = xasprintf("%s/rig-lossyfs", getenv("FLEETRIG_BIN"));
    CLEANUP_FREE char *answer = NULL;
    char *argv[] = { program, p->disk, p->mount, (char *)option, NULL };
    struct proc_spec spec = { .argv = argv, .err_fd = STDERR_FILENO };
    CLEANUP_ERR struct err *err = NULL;
    int in[2], out[2];

    need_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    spec.in_fd = in[0];
    spec.out_fd = out[1];
    need_ok(proc_spawn(&spec, &p->proc, &err), err);
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = fdopen(out[0], "r");
    answer = play_answer(p);
    check_str(answer, "ready");
}

/* Two folders of their own, and a mount. */
static void play_open(struct play *p, const char *option)
{
    const char *dir = check_tmpdir();

    p->disk = xasprintf("%s/disk", dir);
    p->mount = xasprintf("%s/mount", dir);
    need_true(mkdir(p->disk, 0755) == 0 && mkdir(p->mount, 0755) == 0);
    play_start(p, option);
}

/* By the end of its input; it ends cleanly and its mount is gone. */
static void play_stop(struct play *p)
{
    CLEANUP_ERR struct err *err = NULL;

    close(p->in);
    check_ok(proc_wait(&p->proc, PLAY_MS, &err), err);
    check_int(p->proc.status, 0);
    fclose(p->out);
}

static __attribute__((unused)) void play_close(struct play *p)
{
    play_stop(p);
    free(p->disk);
    free(p->mount);
}

/* --- Looking --------------------------------------------------------------------------------- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void look_at(const char *dir, const char *name, struct buf *out);

static void look_into(const char *dir, const char *below, struct buf *out)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, below);
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, by_name);

    for (int i = 0; i < n; i++) {
        CLEANUP_FREE char *name = xasprintf("%s%s", below, list[i]->d_name);

        if (!str_eq(list[i]->d_name, ".") && !str_eq(list[i]->d_name, "..") &&
            !str_eq(list[i]->d_name, ".lossyfs"))
            look_at(dir, name, out);
        free(list[i]);
    }
    free(list);
}

static void look_at(const char *dir, const char *name, struct buf *out)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name), *text = NULL, *below = NULL;
    CLEANUP_ERR struct err *err = NULL;
    char target[256] = "";
    struct stat st;

    check_int(lstat(path, &st), 0);
    if (S_ISDIR(st.st_mode)) {
        below = xasprintf("%s/", name);
        buf_addf(out, "%s ", below);
        look_into(dir, below, out);
    } else if (S_ISLNK(st.st_mode)) {
        check_true(readlink(path, target, sizeof(target) - 1) > 0);
        buf_addf(out, "%s>%s ", name, target);
    } else if (check_ok(file_read(path, PLAY_TEXT_MAX, &text, NULL, &err), err)) {
        buf_addf(out, "%s=%s ", name, text);
    }
}

/* All below `dir`, in order: "a=hello d/ d/b= l>target". The caller frees it. */
static char *play_look(const char *dir)
{
    CLEANUP_BUF struct buf out = BUF_INIT(4 * PLAY_TEXT_MAX);

    look_into(dir, "", &out);
    if (out.len > 0)
        out.data[--out.len] = '\0';
    return buf_steal(&out);
}

/* --- Operations ------------------------------------------------------------------------------ */

static int play_put(const char *path, const char *text, int flags)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    size_t len = strlen(text);

    return fd < 0 || write(fd, text, len) != (ssize_t)len ? errno : 0;
}

static int play_fsync(const char *path, int (*sync)(int fd))
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 || sync(fd) < 0 ? errno : 0;
}

static int play_exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static int play_command(struct play *p, const char *word)
{
    CLEANUP_FREE char *answer = play_say(p, word);

    return check_true(str_starts(answer, str_eq(word, "drop") ? "dropped " : "synced ")) ? 0 : EIO;
}

static __attribute__((unused)) int play_one(struct play *p, const char *operation)
{
    CLEANUP_STRV char **w = strv_split(operation, " ");
    CLEANUP_FREE char *a = xasprintf("%s/%s", p->mount, w[1] ? w[1] : "");
    CLEANUP_FREE char *b = xasprintf("%s/%s", p->mount, w[1] && w[2] ? w[2] : "");
    const char *text = w[1] && w[2] ? w[2] : "";

    if (str_eq(w[0], "write"))
        return play_put(a, text, 0);
    if (str_eq(w[0], "put"))
        return play_put(a, text, O_TRUNC);
    if (str_eq(w[0], "append"))
        return play_put(a, text, O_APPEND);
    if (str_eq(w[0], "durable"))
        return play_put(a, text, O_APPEND | O_DSYNC);
    if (str_eq(w[0], "truncate"))
        return truncate(a, strtol(text, NULL, 10)) < 0 ? errno : 0;
    if (str_eq(w[0], "fsync"))
        return play_fsync(a, fsync);
    if (str_eq(w[0], "fdatasync"))
        return play_fsync(a, fdatasync);
    if (str_eq(w[0], "mkdir"))
        return mkdir(a, 0755) < 0 ? errno : 0;
    if (str_eq(w[0], "rmdir"))
        return rmdir(a) < 0 ? errno : 0;
    if (str_eq(w[0], "unlink"))
        return unlink(a) < 0 ? errno : 0;
    if (str_eq(w[0], "rename"))
        return rename(a, b) < 0 ? errno : 0;
    if (str_eq(w[0], "exchange"))
        return play_exchange(a, b) < 0 ? errno : 0;
    if (str_eq(w[0], "symlink"))
        return symlink(w[1], b) < 0 ? errno : 0;
    return play_command(p, w[0]);
}
