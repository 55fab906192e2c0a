/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/board.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define MARK "\r\033[K"

static void feed(struct board *b, size_t slot, const char *text)
{
    board_feed(b, slot, text, strlen(text));
}

TEST(lines_stand_behind_their_scenarios_name)
{
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct board *b = board_new(out, /* width= */ 0, /* names_width= */ 5);
    size_t hello = board_begin(b, "hello"), flap = board_begin(b, "flap");

    feed(b, hello, "step 1/2  up\n");
    feed(b, flap, "ste");
    feed(b, hello, "ok\n\nand");
    feed(b, flap, "p\n");
    board_line(b, "%d passed", 1);
    board_end(b, hello);
    board_end(b, flap);
    board_free(b);
    fclose(out);
    check_str(text, "hello | step 1/2  up\n"
                    "hello | ok\n"
                    "flap  | step\n"
                    "1 passed\n"
                    "hello | and\n");
}

TEST(on_a_terminal_each_that_runs_has_a_status_line)
{
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct board *b = board_new(out, /* width= */ 80, /* names_width= */ 5);
    size_t hello = board_begin(b, "hello");

    check_int(board_width(b), 80 - 5 - 3);
    feed(b, hello, MARK "waiting");
    /* A line takes the place of the status above which it stands. */
    feed(b, hello, MARK "done\n" MARK "wait\r\033");
    feed(b, hello, "[Kagain");
    board_end(b, hello);
    board_free(b);
    fclose(out);
    check_str(text, "hello | \n"
                    "\r\033[1A\033[Jhello | waiting\n"
                    "\r\033[1A\033[Jhello | done\nhello | wait\n"
                    "\r\033[1A\033[Jhello | again\n"
                    "\r\033[1A\033[Jhello | again\n");
}

TEST(what_was_said_last_is_kept)
{
    FILE *out = fopen("/dev/null", "we");
    struct board *b = board_new(out, 0, 5);
    size_t slot = board_begin(b, "hello"), next;

    check_str(board_last_words(b, slot), "");
    for (int i = 1; i <= 20; i++) {
        CLEANUP_FREE char *line = xasprintf("line %d\n", i);

        feed(b, slot, line);
    }
    feed(b, slot, "killed");
    check_str(board_last_words(b, slot),
              "line 9\nline 10\nline 11\nline 12\nline 13\nline 14\nline 15\nline 16\nline 17\n"
              "line 18\nline 19\nline 20\nkilled");
    board_end(b, slot);
    next = board_begin(b, "flap");
    check_int((int64_t)next, (int64_t)slot);
    check_str(board_last_words(b, next), "");
    board_free(b);
    fclose(out);
}

TEST(bytes_that_would_move_the_cursor_are_not_shown)
{
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct board *b = board_new(out, 0, 1);
    size_t slot = board_begin(b, "a");

    feed(b, slot, "\033[2Jx\ry\377\n");
    board_free(b);
    fclose(out);
    check_str(text, "a | ?[2Jx?y?\n");
}

CHECK_MAIN()
