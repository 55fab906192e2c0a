/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/buf.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"

TEST(an_empty_buffer_is_an_empty_string)
{
    CLEANUP_BUF struct buf b = BUF_INIT(10);
    CLEANUP_FREE char *text = NULL;

    check_str(buf_str(&b), "");
    text = buf_steal(&b);
    check_str(text, "");
    buf_consume(&b, 3);
    buf_reset(&b);
    check_int(b.len, 0);
}

TEST(it_grows_and_counts_bytes_not_characters)
{
    CLEANUP_BUF struct buf b = BUF_INIT(SIZE_MAX);

    for (int i = 0; i < 10000; i++)
        buf_addf(&b, "%d,", i % 10);
    check_int(b.len, 20000);
    buf_add(&b, "\0x", 2);
    check_int(b.len, 20002);
    check_int(b.data[b.len], 0);
    check_true(!b.overflow);
}

TEST(what_exceeds_the_cap_is_dropped_and_remembered)
{
    CLEANUP_BUF struct buf b = BUF_INIT(5);

    buf_adds(&b, "abc");
    check_true(!b.overflow);
    buf_adds(&b, "defg");
    check_true(b.overflow);
    check_str(buf_str(&b), "abcde");
    /* No text behind a gap, also when there is room again. */
    buf_consume(&b, 3);
    buf_adds(&b, "x");
    check_str(buf_str(&b), "de");
    check_true(b.overflow);
    buf_reset(&b);
    check_true(!b.overflow);
    buf_addf(&b, "%s-%d", "long", 12345);
    check_str(buf_str(&b), "long-");
    check_true(b.overflow);
}

TEST(a_text_that_fits_exactly_is_no_overflow)
{
    CLEANUP_BUF struct buf b = BUF_INIT(5);

    buf_addf(&b, "%s", "abcde");
    check_str(buf_str(&b), "abcde");
    check_true(!b.overflow);
    buf_addc(&b, '!');
    check_true(b.overflow);
}

TEST(consuming_drops_the_front)
{
    CLEANUP_BUF struct buf b = BUF_INIT(100);

    buf_adds(&b, "hello world");
    buf_consume(&b, 6);
    check_str(buf_str(&b), "world");
    buf_consume(&b, 100);
    check_str(buf_str(&b), "");
    check_int(b.len, 0);
}

TEST(a_stolen_text_belongs_to_the_caller_and_the_cap_stays)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4);
    CLEANUP_FREE char *text = NULL;

    buf_adds(&b, "abcdef");
    text = buf_steal(&b);
    check_str(text, "abcd");
    check_int(b.len, 0);
    check_true(!b.overflow);
    buf_adds(&b, "123456");
    check_str(buf_str(&b), "1234");
}

CHECK_MAIN()
