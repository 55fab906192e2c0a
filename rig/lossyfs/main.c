/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * rig-lossyfs: a folder that can lose what was not synced, as in a power cut.
 *
 * Commands come one a line on standard input, and each is answered by one line on standard output:
 *
 *     (start)  ready
 *     stat     unsynced bytes=B files=F names=N flushes=X
 *     sync     synced bytes=B files=F names=N flushes=X
 *     drop     dropped bytes=B files=F names=N flushes=X
 *     else     error TEXT
 *
 * The end of the input, TERM and INT sync everything and unmount.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>

#include "base/mem.h"
#include "base/strv.h"
#include "base/verbs.h"
#include "rig/lossyfs/fs.h"

#define LINE_LEN 64
#define LIMIT_MB 64
#define LIMIT_MB_MAX 65536

struct command {
    const char *name, *done;
    int (*run)(struct fs *fs, struct undo_loss *ret, struct err **err);
};

static const struct command commands[] = {
    { "stat", "unsynced", fs_unsynced },
    { "sync", "synced", fs_sync },
    { "drop", "dropped", fs_drop },
};

static void obey(struct fs *fs, const char *line)
{
    CLEANUP_ERR struct err *err = NULL;
    struct undo_loss loss = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!str_eq(commands[i].name, line))
            continue;
        if (commands[i].run(fs, &loss, &err) < 0)
            printf("error %s\n", err_text(err));
        else
            printf("%s bytes=%" PRIu64 " files=%" PRIu64 " names=%" PRIu64 " flushes=%" PRIu64 "\n",
                   commands[i].done, loss.bytes, loss.files, loss.names, loss.flushes);
        return;
    }
    printf("error there is no command \"%s\", but stat, sync and drop\n", line);
}

/* Reads what there is and obeys whole lines. False at the end of the input. */
static bool read_commands(struct fs *fs, char line[static LINE_LEN], size_t *len)
{
    ssize_t n = read(STDIN_FILENO, line + *len, LINE_LEN - 1 - *len);
    char *end;

    if (n <= 0)
        return n < 0 && errno == EINTR;
    *len += (size_t)n;
    line[*len] = '\0';
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        obey(fs, line);
        *len -= (size_t)(end + 1 - line);
        memmove(line, end + 1, *len + 1);
    }
    if (*len == LINE_LEN - 1) {
        printf("error a command has no more than %d letters\n", LINE_LEN - 2);
        *len = 0;
    }
    return true;
}

static int serve(struct fs *fs, int signals, struct err **err)
{
    struct pollfd fds[] = { { .fd = fs_fd(fs), .events = POLLIN },
                            { .fd = STDIN_FILENO, .events = POLLIN },
                            { .fd = signals, .events = POLLIN } };
    char line[LINE_LEN] = "";
    size_t len = 0;
    int r;

    while (fds[2].revents == 0) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return err_errno(err, errno, "waiting for something to do");
        if (fds[0].revents && (r = fs_serve(fs, err)) < 0)
            return r;
        if (fds[1].revents && !read_commands(fs, line, &len))
            break;
    }
    return 0;
}

static int catch_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* The mount is seen by this process, and whoever joins its namespace, and goes with them. */
static int retire(struct err **err)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, errno, "making a mount namespace");
    return 0;
}

static int limit_of(const struct verbs_args *args, size_t *ret, struct err **err)
{
    const char *text = verbs_value(args, "memory");
    char *end = NULL;
    unsigned long n = LIMIT_MB;

    if (text) {
        errno = 0;
        n = strtoul(text, &end, 10);
        if (errno || *end || !strchr("123456789", *text) || n > LIMIT_MB_MAX)
            return err_new(err, EINVAL, "--memory %s: a number of MiB, 1 to %d", text,
                           LIMIT_MB_MAX);
    }
    *ret = (size_t)n << 20;
    return 0;
}

static int work(const struct verbs_args *args, struct err **err)
{
    CLEANUP_FREE char *mountpoint = realpath(args->positional[1], NULL);
    CLEANUP_CLOSE int signals = catch_signals();
    CLEANUP(fs_free) struct fs *fs = NULL;
    size_t limit = 0;
    int r;

    if (!mountpoint)
        return err_errno(err, errno, "%s", args->positional[1]);
    if ((r = limit_of(args, &limit, err)) < 0 ||
        (verbs_flag(args, "private") && (r = retire(err)) < 0) ||
        (r = fs_mount(args->positional[0], mountpoint, limit, &fs, err)) < 0)
        return r;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    return serve(fs, signals, err);
}

static int run(const struct verbs_args *args, void *userdata)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *text = NULL;

    (void)userdata;
    if (work(args, &err) >= 0)
        return 0;
    text = err_text_full(err);
    fprintf(stderr, "rig-lossyfs: %s\n", text);
    return err_code(err) == EINVAL ? 2 : 3;
}

int main(int argc, char **argv)
{
    static const struct verbs_option options[] = {
        { "memory", 0, "MIB", "for what may have to be taken back; beyond it all is synced (64)",
          NULL },
        { "private", 0, NULL, "mount in a mount namespace of its own", NULL },
        { NULL, 0, NULL, NULL, NULL },
    };
    static const struct verbs_command list[] = {
        { .name = "",
          .arguments = "FOLDER MOUNTPOINT",
          .min = 2,
          .max = 2,
          .help = "shows FOLDER at MOUNTPOINT and can take back what was not synced",
          .details =
                  "Reads commands from standard input, one a line: stat tells what is not synced, sync "
                  "syncs it, drop takes it back as a power cut would. The end of the input, TERM and "
                  "INT sync and unmount.\n\n"
                  "Lost in a drop: the data of a file since its last fsync, and all changes of names "
                  "since the last fsync of anything. What was only appended or created costs no memory.",
          .options = options,
          .complete = "file:*",
          .run = run },
        { .name = NULL },
    };
    static const struct verbs_program program = {
        .name = "rig-lossyfs",
        .version = FLEETRIG_VERSION,
        .summary = "a folder that can lose what was not synced, as in a power cut",
        .exit_codes = "0  ended by a command or a signal\n"
                      "2  usage\n"
                      "3  this host does not let it mount",
        .commands = list,
    };

    return verbs_main(&program, argc, argv, NULL);
}
