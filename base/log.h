/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Log lines on stderr, one write each. Under systemd (JOURNAL_STREAM) with a "<6>" priority prefix
 * and no time; elsewhere "2026-04-21T18:15:42.123Z info  text". Control characters of the text are
 * escaped. Only main.c, act.c and cmd_*.c log; everything below returns its error.
 */

/* From 1: 0 is a level that was not given. */
enum log_level { LOG_LEVEL_ERROR = 1, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
