/* SPDX-License-Identifier: AGPL-3.0-only */

/* Whatever a history and the evidence hold, the page is well-formed and within its bound. The input is a
 * history; behind a byte of zero stand a log and the table of what was observed. */

#include "rig/run/report_html.h"
#include "rig/run/report_html_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf out = BUF_INIT(REPORT_HTML_MAX);
    CLEANUP(history_free) struct history *h = NULL;
    const char *text = (const char *)data, *more = size ? memchr(text, '\0', size) : NULL;
    size_t len = more ? (size_t)(more - text) : size, left = size - len;
    struct report_text texts[] = { { "logs/nats.log", more, left, left },
                                   { REPORT_OBSERVED, more ? more + 1 : "", left ? left - 1 : 0,
                                     left } };
    struct report_html in = { .texts = texts, .n_texts = more ? 2 : 0 };

    if (history_parse("fuzz", text, len, &h, NULL) < 0)
        return 0;
    in.history = h;
    report_html(&in, &out);
    if (out.overflow || complaint(buf_str(&out)))
        abort();
    return 0;
}
