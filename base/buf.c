/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Makes room for `len` more bytes, or for as many of them as fit below the cap; returns how many.
 * Nothing is added behind a gap: after an overflow nothing fits any more. */
static size_t reserve(struct buf *b, size_t len)
{
    size_t room = b->max > b->len ? b->max - b->len : 0;
    size_t need;

    if (b->overflow)
        len = 0;
    if (len > room) {
        b->overflow = true;
        len = room;
    }
    need = b->len + len + 1;
    if (need > b->alloc) {
        size_t alloc = b->alloc > SIZE_MAX / 2 ? need : b->alloc * 2;

        if (alloc < need)
            alloc = need < 64 ? 64 : need;
        if (b->max < SIZE_MAX && alloc > b->max + 1)
            alloc = need > b->max + 1 ? need : b->max + 1;
        b->data = xreallocarray(b->data, alloc, 1);
        b->alloc = alloc;
    }
    return len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    size_t n = reserve(b, len);

    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    size_t room;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        abort(); /* a format that is wrong, or a text above INT_MAX */
    room = reserve(b, (size_t)n);
    /* vsnprintf cuts at `room` by itself. */
    vsnprintf(b->data + b->len, room + 1, fmt, ap);
    b->len += room;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->data)
        b->data[0] = '\0';
}

void buf_consume(struct buf *b, size_t n)
{
    if (!b->data)
        return;
    if (n > b->len)
        n = b->len;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_steal(struct buf *b)
{
    char *text = b->data ? b->data : xstrdup("");

    *b = BUF_INIT(b->max);
    return text;
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = BUF_INIT(b->max);
}
