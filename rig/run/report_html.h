/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * One run as one HTML page for people: readable without scripts and without anything outside of it,
 * light and dark, on paper and on a narrow screen. Pure: made of the history of the run and of texts
 * of its evidence. Whatever bytes these hold, the page is well-formed HTML 5 (and XML), secrets are
 * hidden, and it stays below REPORT_HTML_MAX: long texts show their end, and say where the whole is.
 */

#include "rig/run/history.h"

#define REPORT_HTML_MAX (1024 * 1024)
#define REPORT_TEXT_MAX (16 * 1024)   /* of one text that is shown */
#define REPORT_TEXTS_MAX (192 * 1024) /* of all of them */
#define REPORT_OBSERVED "observed.json"

struct report_text {
    const char *path; /* relative to the evidence, by what it is of: "logs/nats.log",
                       * "machines/edge-1/journal.txt"; REPORT_OBSERVED becomes a table */
    const char *data; /* of any bytes; may be no more than the end of the file */
    size_t len, size; /* `size`: of the whole file */
};

struct report_html {
    const struct history *history;
    const char *folder; /* of the run: where the whole texts are; may be NULL */
    const struct report_text *texts;
    size_t n_texts;
    int utc_offset_s;     /* of the host's local time, in which some logs are stamped */
    char *const *secrets; /* strv of what is to be hidden wherever it stands; may be NULL */
};

void report_html(const struct report_html *in, struct buf *out);
