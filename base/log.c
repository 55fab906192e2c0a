/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define LINE_MAX_BYTES (16 << 10)

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = { "error", 3 },
    [LOG_LEVEL_WARNING] = { "warning", 4 },
    [LOG_LEVEL_INFO] = { "info", 6 },
    [LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static atomic_int threshold = LOG_LEVEL_INFO;
static bool to_journal;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

/* JOURNAL_STREAM=DEVICE:INODE is inherited by everything below a unit; it only holds while stderr
 * still is that very stream (systemd.exec(5)). */
static void look_for_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char mine[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return;
    snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    to_journal = strcmp(stream, mine) == 0;
}

static void add_time(struct buf *b)
{
    struct timespec ts;
    struct tm tm;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_addf(b, "%s.%03dZ", text, (int)(ts.tv_nsec / 1000000));
}

/* What a device or a container sent us must not move a terminal's cursor or start a line that looks
 * like one of ours. C1 controls are two bytes in UTF-8, C2 80 to C2 9F. */
static void add_escaped(struct buf *b, const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '\n')
            buf_adds(b, "\\n");
        else if (*p == '\t')
            buf_adds(b, "\\t");
        else if (*p == '\r')
            buf_adds(b, "\\r");
        else if (*p < 0x20 || *p == 0x7f)
            buf_addf(b, "\\x%02x", *p);
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            buf_addf(b, "\\x%02x", *++p);
        else
            buf_addc(b, (char)*p);
    }
}

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody is left to be told */
        data += n;
        len -= (size_t)n;
    }
}

void log_line(enum log_level level, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LINE_MAX_BYTES);
    CLEANUP_BUF struct buf line = BUF_INIT(5 * LINE_MAX_BYTES);
    int saved = errno;
    va_list ap;

    if ((int)level > atomic_load(&threshold))
        return;
    pthread_once(&once, look_for_journal);

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (to_journal) {
        buf_addf(&line, "<%d>", levels[level].priority);
    } else {
        add_time(&line);
        buf_addf(&line, " %-5s ", levels[level].name);
    }
    add_escaped(&line, buf_str(&text));
    buf_addc(&line, '\n');
    write_all(line.data, line.len);
    errno = saved;
}
