/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The test harness. A test program registers tests and prints TAP 14: a line per test with its
 * time, the plan generated at the end. A test that runs no check fails; a skip is reported with its
 * reason and counted. Exit status: 0 all passed (or skipped), 1 a failure, 77 everything skipped.
 *
 *     TEST(an_empty_name_is_refused)
 *     {
 *         check_true(name_valid("") == false);
 *         check_str(name_error(""), "empty");
 *     }
 *     CHECK_MAIN()
 *
 * `PROGRAM -l` lists, `PROGRAM NAME...` runs those whose name contains one of NAME. A failed check
 * prints file, line and both values, and the test goes on; need_*() stops the test. In a table test
 * call check_case("name") first: failures print it.
 *
 * Tests run in the root of the source tree, one after the other in one process. need_*() and
 * check_skip() leave the test by longjmp: cleanup attributes do not run then, so ask for a skip
 * before acquiring anything (LeakSanitizer reports the rest), and only from the test's own thread.
 * A test that takes longer than 60 s (CHECK_TIMEOUT_S overrides, and check_timeout() for one test)
 * ends the program with a `not ok`; the watchdog is alarm(2), so tests leave SIGALRM alone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"

void check_register(const char *name, void (*fn)(void));
int check_main(int argc, char **argv);

#define TEST(id)                                                                                   \
    static void test_##id(void);                                                                   \
    __attribute__((constructor)) static void register_##id(void)                                   \
    {                                                                                              \
        check_register(#id, test_##id);                                                            \
    }                                                                                              \
    static void test_##id(void)

#define CHECK_MAIN()                                                                               \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return check_main(argc, argv);                                                             \
    }

/* Names the table row under test, printf-like, until the next call. */
void check_case(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Gives the running test this long from now on. */
void check_timeout(int seconds);
/* Ends the running test as skipped; when a check failed before, as failed. */
_Noreturn void check_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

bool check_true_at(const char *file, int line, bool ok, const char *text);
bool check_int_at(const char *file, int line, int64_t got, int64_t want, const char *text);
bool check_str_at(const char *file, int line, const char *got, const char *want, const char *text);
bool check_golden_at(const char *file, int line, const char *got, const char *path);
bool check_has_at(const char *file, int line, const char *got, const char *part, const char *text);
_Noreturn void check_abort(void);

#define check_true(x) check_true_at(__FILE__, __LINE__, (x), #x)
#define check_int(got, want) check_int_at(__FILE__, __LINE__, (got), (want), #got)
/* Two NULLs are equal. */
#define check_str(got, want) check_str_at(__FILE__, __LINE__, (got), (want), #got)
/* `got` contains `part`. */
#define check_has(got, part) check_has_at(__FILE__, __LINE__, (got), (part), #got)
/* A call that must succeed: prints the error's text when it does not. `err` is the variable whose
 * address the call got. */
#define check_ok(call, err)                                                                        \
    ({                                                                                             \
        bool ok_ = (call) >= 0;                                                                    \
        check_true_at(__FILE__, __LINE__, ok_, ok_ || !(err) ? #call : err_text(err));             \
    })

#define need_true(x)                                                                               \
    do {                                                                                           \
        if (!check_true(x))                                                                        \
            check_abort();                                                                         \
    } while (0)
#define need_ok(call, err)                                                                         \
    do {                                                                                           \
        if (!check_ok(call, err))                                                                  \
            check_abort();                                                                         \
    } while (0)

/* The whole of a file under the source tree, e.g. "fleet/wire/testdata/heartbeat.json"; the test
 * aborts when it cannot be read. `ret_len` may be NULL. The caller frees it. */
char *check_read(const char *path, size_t *ret_len);
/* `got` is what stands in the file `path`. With CHECK_REGEN=1 the file is written instead: look at
 * the difference before you commit it. */
#define check_golden(got, path) check_golden_at(__FILE__, __LINE__, (got), (path))
/* A fresh folder at every call, removed at the end of the program; its path is short enough for a
 * unix socket in it. Owned by the harness. */
const char *check_tmpdir(void);
/* Waits (10 ms steps) until `cond` is true; fails the check after `timeout_ms`. For component tests
 * whose subject is another process. */
#define check_within(timeout_ms, cond)                                                             \
    ({                                                                                             \
        int64_t until_ = check_now_ms() + (timeout_ms);                                            \
        bool held_ = false;                                                                        \
        while (!(held_ = (cond)) && check_now_ms() < until_)                                       \
            check_pause();                                                                         \
        check_true_at(__FILE__, __LINE__, held_, #cond " within " #timeout_ms " ms");              \
    })
int64_t check_now_ms(void);
void check_pause(void);
