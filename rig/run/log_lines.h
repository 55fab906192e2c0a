/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Notable lines of logs: what components and devices wrote as warnings and errors, as events on the
 * run's clock. Each program stamps its lines in a way of its own (etcd: zap's JSON; the API server:
 * klog; nats-server; our own programs: base/log.h; devices: journalctl -o short-iso-precise). Lines that
 * differ in numbers only are one event, with a count; lines that every start writes are left out.
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rig/run/history.h"

#define LOG_LINES_MAX 40 /* events of a lane */

/* What a time stamp lacks. */
struct log_clock {
    int64_t wall_ms;  /* when the run began: stamps without a year are near it */
    int utc_offset_s; /* of stamps in local time: added to UTC gives them */
};

struct log_line {
    int64_t wall_ms;
    bool grave;       /* an error; else a warning */
    const char *text; /* within the line */
    size_t len;
};

/* How the lines of a file are read, by its path in the evidence: "logs/nats.log",
 * "machines/edge-1/errors.txt". NULL when nothing of it is notable. */
struct log_file;
const struct log_file *log_file_of(const char *path);
/* False when it is no notable line of such a file. */
bool log_line_parse(const struct log_file *file, const char *line, size_t len,
                    const struct log_clock *clock, struct log_line *ret);

/* Appends the events of one file, in order of time, to an array grown by base/mem.h's grow(); the
 * caller frees their texts. Those outside of [0, end_ms] are left out. */
void log_events(const char *path, const char *data, size_t len, const struct log_clock *clock,
                int64_t end_ms, struct history_event **events, size_t *n, size_t *cap);
