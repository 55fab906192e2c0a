/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/log_lines.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock_text.h"
#include "base/mem.h"

static const struct log_clock began = { .wall_ms = INT64_C(1795258552000) }; /* 10:55:52Z */

/* As these programs wrote them. */
static const struct {
    const char *name, *path, *line;
    int64_t at_ms; /* since the run began; -1: not notable */
    bool grave;
    const char *text;
} lines[] = {
    { "etcd warns", "logs/etcd.log",
      "{\"level\":\"warn\",\"ts\":\"2026-11-21T10:55:54.476565Z\",\"caller\":\"wal/wal.go:805\","
      "\"msg\":\"slow fdatasync\",\"took\":\"1.02s\"}",
      2476, false, "slow fdatasync" },
    { "etcd's error", "logs/etcd.log",
      "{\"level\":\"error\",\"ts\":\"2026-11-21T10:55:54.476565Z\",\"msg\":\"a \\\"b\\\" c\"}",
      2476, true, "a \\\"b\\\" c" },
    { "etcd at every start", "logs/etcd.log",
      "{\"level\":\"warn\",\"ts\":\"2026-11-21T10:55:54.476565Z\",\"caller\":\"embed/"
      "config.go:689\",\"msg\":\"Running http and grpc server on single port. This is not "
      "recommended for production.\"}",
      -1, false, NULL },
    { "etcd informs", "logs/etcd.log",
      "{\"level\":\"info\",\"ts\":\"2026-11-21T10:55:54.476565Z\",\"msg\":\"x\"}", -1, false,
      NULL },
    { "etcd, cut", "logs/etcd.log", "{\"level\":\"warn\",\"ts\":\"2026-11-21T10:55:54.4", -1, false,
      NULL },
    { "the API server warns", "logs/apiserver.log",
      "W1121 10:55:55.503213   13136 logging.go:59] [core] grpc: addrConn.createTransport failed",
      3503, false, "[core] grpc: addrConn.createTransport failed" },
    { "the API server's error", "logs/apiserver.log",
      "E1121 10:56:55.503213   13136 cacher.go:475] unable to list: etcdserver: timed out", 63503,
      true, "unable to list: etcdserver: timed out" },
    { "the API server informs", "logs/apiserver.log",
      "I1121 10:55:55.693909   13136 handler.go:304] Adding GroupVersion", -1, false, NULL },
    { "another word", "logs/apiserver.log", "Waiting for it", -1, false, NULL },
    { "month 13", "logs/apiserver.log", "W1321 10:55:55.503213   1 a.go:1] b", -1, false, NULL },
    { "nats warns", "logs/nats.log",
      "[13205] 2026/11/21 10:55:58.296499 [WRN] Readloop processing time: 2.1s", 6296, false,
      "Readloop processing time: 2.1s" },
    { "nats' error", "logs/nats.log",
      "[13205] 2026/11/21 10:55:58.296499 [ERR] 127.0.0.1:1 - cid:7 - authentication error", 6296,
      true, "127.0.0.1:1 - cid:7 - authentication error" },
    { "nats informs", "logs/nats.log",
      "[13205] 2026/11/21 10:55:58.296465 [INF] Starting nats-server", -1, false, NULL },
    { "ours warns", "logs/operator.log",
      "2026-11-21T10:56:36.963Z warning device edge-2 is unreachable", 44963, false,
      "device edge-2 is unreachable" },
    { "our error", "logs/operator.log", "2026-11-21T10:56:36.963Z error x", 44963, true, "x" },
    { "ours informs", "logs/operator.log", "2026-11-21T10:55:58.360Z info  starts", -1, false,
      NULL },
    { "a device warns", "machines/edge-1/warnings.txt",
      "2026-11-21T10:56:58.123456+00:00 edge-1 fleet-agent[322]: cut off from nats", 66123, false,
      "fleet-agent[322]: cut off from nats" },
    { "a device's error", "machines/edge-1/errors.txt",
      "2026-11-21T11:56:58.123456+01:00 edge-1 kernel: I/O error, dev vda", 66123, true,
      "kernel: I/O error, dev vda" },
    { "a device's kernel warns", "machines/edge-1/warnings.txt",
      "2026-11-21T10:56:58.123456+00:00 edge-1 kernel: spurious", -1, false, NULL },
    { "a gap in the journal", "machines/edge-1/warnings.txt", "-- Boot 0123 --", -1, false, NULL },
    { "nothing", "logs/nats.log", "", -1, false, NULL },
};

TEST(lines_of_each_program)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct log_file *file = log_file_of(lines[i].path);
        struct log_line line = { 0 };
        bool is;

        check_case("%s", lines[i].name);
        need_true(file);
        is = log_line_parse(file, lines[i].line, strlen(lines[i].line), &began, &line);
        check_int(is, lines[i].at_ms >= 0);
        if (is) {
            CLEANUP_FREE char *text = xstrndup(line.text, line.len);

            check_int(line.wall_ms - began.wall_ms, lines[i].at_ms);
            check_int(line.grave, lines[i].grave);
            check_str(text, lines[i].text);
        }
    }
}

TEST(stamps_without_a_zone_or_a_year_are_near_the_run)
{
    static const struct {
        const char *line, *at;
        int64_t began;
        int offset_s;
    } table[] = {
        { "E0101 00:00:01.000000 1 a.go:1] x", "2027-01-01T00:00:01Z", INT64_C(1798761590000), 0 },
        { "E1121 11:55:55.000000 1 a.go:1] x", "2026-11-21T10:55:55Z", INT64_C(1795258552000),
          3600 },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct log_clock clock = { table[i].began, table[i].offset_s };
        struct log_line line = { 0 };
        char at[CLOCK_RFC3339_MAX];

        check_case("%s", table[i].line);
        check_true(log_line_parse(log_file_of("logs/apiserver.log"), table[i].line,
                                  strlen(table[i].line), &clock, &line));
        check_str(clock_rfc3339(line.wall_ms, at), table[i].at);
    }
}

TEST(only_logs_are_read)
{
    check_true(!log_file_of("keys/desired-state.txt"));
    check_true(!log_file_of("logs/libvirtd.log"));
    check_true(!log_file_of("errors.txt"));
}

static char *told(const char *path, const char *text)
{
    struct history_event *events = NULL;
    struct buf out = BUF_INIT(1 << 20);
    size_t n = 0, cap = 0;

    log_events(path, text, strlen(text), &began, 600000, &events, &n, &cap);
    for (size_t i = 0; i < n; i++) {
        buf_addf(&out, "%lld %s %s %s|%s\n", (long long)events[i].at_ms, events[i].lane,
                 events[i].what, events[i].text, events[i].detail);
        free(events[i].lane);
        free(events[i].what);
        free(events[i].text);
        free(events[i].detail);
    }
    free(events);
    return buf_steal(&out);
}

TEST(lines_that_differ_in_numbers_are_one_event)
{
    CLEANUP_FREE char *text =
            told("logs/nats.log", "[1] 2026/11/21 10:54:00.000000 [ERR] before the run\n"
                                  "[1] 2026/11/21 10:55:53.000000 [ERR] cid:7 - no\n"
                                  "[1] 2026/11/21 10:55:54.000000 [WRN] slow\n"
                                  "[1] 2026/11/21 10:55:55.000000 [ERR] cid:23 - no\n"
                                  "[1] 2026/11/21 12:00:00.000000 [ERR] long after");

    check_str(text, "1000 nats log error: cid:7 - no|2 times, until 3.0s\n"
                    "2000 nats log warning: slow|\n");
}

TEST(of_many_lines_the_errors_are_kept)
{
    CLEANUP_BUF struct buf log = BUF_INIT(1 << 20);
    CLEANUP_FREE char *text = NULL;
    size_t n = 0;

    for (int i = 0; i < 400; i++)
        buf_addf(&log, "[1] 2026/11/21 10:55:54.000000 [%s] %c%c\n", i % 100 == 99 ? "ERR" : "WRN",
                 'a' + i / 20, 'a' + i % 20);
    text = told("logs/nats.log", buf_str(&log));
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        n++;
    check_int((int64_t)n, LOG_LINES_MAX);
    check_has(text, "error: et");
    check_has(text, "error: jt");
    check_has(text, "error: ot");
}

CHECK_MAIN()
