/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Reports of finished runs, for machines. Pure. What came from devices may hold any bytes: what
 * XML, TAP or UTF-8 forbid is replaced by '?'.
 */

#include "rig/run/history.h"

/* JUnit XML: a suite for each run, a case for each step; an interrupted step is an error. */
void report_junit(const struct history *const *runs, size_t n, struct buf *out);
/* TAP 14: a test for each step, "not ok" with the failure as a diagnostic block. */
void report_tap(const struct history *const *runs, size_t n, struct buf *out);

/* Appends `text` with bytes that are no UTF-8 and control characters other than line ends and tabs
 * replaced by '?'. */
void report_clean(struct buf *out, const char *text);
void report_clean_bytes(struct buf *out, const char *text, size_t len);
/* The same, escaped for XML and HTML: as the text of an element, or within double quotes as an
 * attribute. At most 256 KiB at once. */
void report_xml(struct buf *out, const char *text, size_t len, bool attribute);
