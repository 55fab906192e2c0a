/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/log_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static void append(const char *dir, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s.log", dir, name);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    check_int(write(fd, text, strlen(text)), (int64_t)strlen(text));
}

static const char *folder(void)
{
    const char *dir = check_tmpdir();

    append(dir, "nats", "n1\nn2\nn3\n");
    append(dir, "etcd", "e1\ne2\nnot ended");
    append(dir, "operator", "");
    return dir;
}

/* What is printed to `out`, which is rewound. The caller frees it. */
static char *printed(FILE *out)
{
    char *text = NULL;
    CLEANUP_ERR struct err *err = NULL;

    fflush(out);
    lseek(fileno(out), 0, SEEK_SET);
    need_ok(file_read_fd(fileno(out), "output", 1 << 20, &text, NULL, &err), err);
    return text;
}

TEST(the_last_lines_of_each_log_are_printed)
{
    static const struct {
        const char *name;
        size_t lines;
        const char *want;
    } cases[] = {
        { "nats", 100, "n1\nn2\nn3\n" },
        { "nats", 3, "n1\nn2\nn3\n" },
        { "nats", 2, "n2\nn3\n" },
        { "nats", 1, "n3\n" },
        { "nats", 0, "" },
        { "etcd", 2, "e2\n" }, /* the line that has not ended is the last one */
        { "operator", 5, "" },
        { NULL, 2, "etcd     | e2\nnats     | n2\nnats     | n3\n" },
    };
    const char *dir = folder();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FCLOSE FILE *out = tmpfile();
        const struct log_tail tail = {
            .dir = dir, .name = cases[i].name, .lines = cases[i].lines, .out = out
        };
        CLEANUP_ERR struct err *err = NULL;
        CLEANUP_FREE char *got = NULL;

        check_case("%zu of %s", cases[i].lines, cases[i].name ? cases[i].name : "all");
        check_ok(log_tail(&tail, &err), err);
        got = printed(out);
        check_str(got, cases[i].want);
    }
}

TEST(an_unknown_component_is_told_with_those_that_there_are)
{
    const struct log_tail tail = { .dir = folder(), .name = "natz", .lines = 1, .out = stdout };
    CLEANUP_ERR struct err *err = NULL;

    check_int(log_tail(&tail, &err), -ENOENT);
    check_str(err_text(err),
              "there is no component or device 'natz'; components: etcd, nats, operator");
}

struct following {
    struct log_tail tail;
    int r;
};

static void *follow(void *userdata)
{
    struct following *f = userdata;

    f->r = log_tail(&f->tail, NULL);
    return NULL;
}

static bool has(const char *path, const char *want)
{
    CLEANUP_FREE char *text = NULL;

    return file_read(path, 1 << 20, &text, NULL, NULL) >= 0 && strstr(text, want);
}

TEST(what_is_written_later_is_printed_in_whole_lines)
{
    static volatile sig_atomic_t stop;
    const char *dir = folder();
    CLEANUP_FREE char *path = xasprintf("%s/out", check_tmpdir()), *nats = NULL;
    CLEANUP_FCLOSE FILE *out = fopen(path, "w+e");
    struct following f = {
        .tail = { .dir = dir, .lines = 1, .follow = true, .stop = &stop, .out = out }
    };
    pthread_t thread;

    stop = 0;
    need_true(pthread_create(&thread, NULL, follow, &f) == 0);
    check_within(10000, has(path, "nats     | n3\n"));
    append(dir, "etcd", " now\n");
    check_within(10000, has(path, "etcd     | not ended now\n"));
    append(dir, "late", "first\n");
    check_within(10000, has(path, "late     | first\n"));
    nats = xasprintf("%s/nats.log", dir);
    check_int(truncate(nats, 0), 0);
    append(dir, "nats", "anew\n");
    check_within(10000, has(path, "nats     | anew\n"));
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    check_int(f.r, 0);
}

CHECK_MAIN()
