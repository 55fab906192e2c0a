/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

/* Runs `fn` in a child whose stderr is a file; returns what it logged. The caller frees it. */
static char *logged_by(void (*fn)(void), bool journal)
{
    CLEANUP_FREE char *path = xasprintf("%s/log", check_tmpdir());
    pid_t pid = fork();
    int status = 0;

    need_true(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        char stream[64] = "1:2";
        struct stat st;

        dup2(fd, STDERR_FILENO);
        if (journal && fstat(fd, &st) == 0)
            snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        fn();
        _exit(0);
    }
    need_true(waitpid(pid, &status, 0) == pid && status == 0);
    return check_read(path, NULL);
}

static void one_of_each(void)
{
    log_error("%d", 1);
    log_warning("%d", 2);
    log_info("%d", 3);
    log_debug("%d", 4);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("%d", 5);
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("%d", 6);
}

TEST(a_line_has_time_level_and_text)
{
    CLEANUP_FREE char *text = logged_by(one_of_each, false);

    need_true(strlen(text) > 30);
    check_int(text[4], '-');
    check_int(text[10], 'T');
    check_int(text[19], '.');
    check_has(text + 23, "Z error 1\n");
    check_has(text, "Z warning 2\n");
    check_has(text, "Z info  3\n");
    check_has(text, "Z debug 5\n");
    check_true(!strstr(text, " 4\n") && !strstr(text, " 6\n"));
}

TEST(the_journal_gets_a_priority_and_no_time)
{
    CLEANUP_FREE char *text = logged_by(one_of_each, true);

    check_str(text, "<3>1\n<4>2\n<6>3\n<7>5\n");
}

static void hostile(void)
{
    log_info("a\nb\tc\r\x1b[2J\x7f\xc2\x9b caf\xc3\xa9");
}

TEST(control_characters_are_escaped_and_other_text_is_not)
{
    CLEANUP_FREE char *text = logged_by(hostile, true);

    check_str(text, "<6>a\\nb\\tc\\r\\x1b[2J\\x7f\\x9b caf\xc3\xa9\n");
}

static void very_long(void)
{
    CLEANUP_FREE char *s = xmalloc(1 << 20);

    memset(s, 'x', (1 << 20) - 1);
    s[(1 << 20) - 1] = '\0';
    log_info("%s", s);
    log_info("next");
}

TEST(a_line_is_cut_at_its_cap)
{
    CLEANUP_FREE char *text = logged_by(very_long, true);

    check_int(strcspn(text, "\n"), 3 + (16 << 10));
    check_has(text, "x\n<6>next\n");
}

static void keeps_errno(void)
{
    errno = EBUSY;
    log_info("x");
    if (errno != EBUSY)
        _exit(1);
    log_debug("x");
    if (errno != EBUSY)
        _exit(1);
}

TEST(errno_survives)
{
    CLEANUP_FREE char *text = logged_by(keeps_errno, true);

    check_str(text, "<6>x\n");
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("thread %s says a line that must stay whole", (const char *)arg);
    return NULL;
}

static void four_threads(void)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_many, (void *)names[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

TEST(lines_of_threads_do_not_mix)
{
    CLEANUP_FREE char *text = logged_by(four_threads, true);
    int whole = 0, lines = 0;

    for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
        char name;
        int end = 0;

        lines++;
        whole +=
                sscanf(line, "<6>thread %c says a line that must stay whole%n", &name, &end) == 1 &&
                line[end] == '\n';
    }
    check_int(lines, 800);
    check_int(whole, 800);
}

CHECK_MAIN()
