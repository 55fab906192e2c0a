/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/html.h"

#include <stdlib.h>
#include <string.h>

#include "base/redact.h"
#include "rig/run/report.h"

#define TEXT_MAX (256 * 1024)

void html_text(const struct html *h, const char *text, size_t len)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(TEXT_MAX);

    redact(&plain, text, len, h->secrets);
    report_xml(h->out, buf_str(&plain), plain.len, /* attribute= */ false);
}

/* In an attribute a line end would be a blank. */
static void add_string(const struct html *h, const char *text, bool attribute)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(TEXT_MAX);
    size_t len;

    redact(&plain, text, strlen(text), h->secrets);
    if (plain.len <= HTML_TEXT_MAX) {
        report_xml(h->out, buf_str(&plain), plain.len, attribute);
        return;
    }
    len = HTML_TEXT_MAX;
    while ((plain.data[len] & 0xc0) == 0x80 && len > HTML_TEXT_MAX - 4) /* between characters */
        len--;
    report_xml(h->out, buf_str(&plain), len, attribute);
    buf_adds(h->out, " ...");
}

/* One conversion that is not %s. */
static void add_number(const struct html *h, const char *spec, size_t len, va_list *ap)
{
    char fmt[16], text[64] = "";

    if (len >= sizeof(fmt))
        abort();
    memcpy(fmt, spec, len);
    fmt[len] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    switch (spec[len - 1]) {
    case 'f':
        snprintf(text, sizeof(text), fmt, va_arg(*ap, double));
        break;
    case 'u':
        snprintf(text, sizeof(text), fmt, va_arg(*ap, size_t));
        break;
    case 'c':
    case 'd':
        if (strchr(fmt, 'l'))
            snprintf(text, sizeof(text), fmt, va_arg(*ap, long long));
        else
            snprintf(text, sizeof(text), fmt, va_arg(*ap, int));
        break;
    default:
        abort();
    }
#pragma GCC diagnostic pop
    buf_adds(h->out, text);
}

void html_addf(const struct html *h, const char *fmt, ...)
{
    bool attribute = false;
    va_list ap;

    va_start(ap, fmt);
    while (*fmt) {
        size_t plain = strcspn(fmt, "%"), len;

        for (size_t i = 0; i < plain; i++)
            attribute ^= fmt[i] == '"';
        buf_add(h->out, fmt, plain);
        fmt += plain;
        if (!*fmt)
            break;
        len = 1 + strcspn(fmt + 1, "sducf%") + 1;
        if (fmt[len - 1] == 's') {
            const char *text = va_arg(ap, const char *);

            add_string(h, text ? text : "", attribute);
        } else if (fmt[len - 1] == '%') {
            buf_addc(h->out, '%');
        } else {
            add_number(h, fmt, len, &ap);
        }
        fmt += len;
    }
    va_end(ap);
}
