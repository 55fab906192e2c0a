/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A growing byte string with a cap. Always NUL-terminated. What would exceed the cap is dropped
 * and `overflow` is set and stays set: add freely, then check once. `BUF_INIT(cap)` starts an
 * empty one; buf_done() frees and resets it.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* never NULL after the first add; buf_str() is always a string */
    size_t len; /* bytes, without the terminator */
    size_t alloc;
    size_t max; /* cap on len, bytes */
    bool overflow;
};

#define BUF_INIT(cap) ((struct buf){ .max = (cap) })

void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Empties it and clears `overflow`; keeps the memory. */
void buf_reset(struct buf *b);
/* Drops `n` bytes from the front. */
void buf_consume(struct buf *b, size_t n);
/* The text, "" when empty. Owned by the buffer, valid until the next add. */
const char *buf_str(const struct buf *b);
/* Hands the text over (never NULL) and empties the buffer. The caller frees it. */
char *buf_steal(struct buf *b);

void buf_done(struct buf *b);
#define CLEANUP_BUF __attribute__((cleanup(buf_done)))
