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
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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
/* Ends the running test as skipped. */
_Noreturn void check_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

bool check_true_at(const char *file, int line, bool ok, const char *text);
bool check_int_at(const char *file, int line, int64_t got, int64_t want, const char *text);
bool check_str_at(const char *file, int line, const char *got, const char *want, const char *text);
bool check_has_at(const char *file, int line, const char *got, const char *part, const char *text);
_Noreturn void check_abort(void);

#define check_true(x) check_true_at(__FILE__, __LINE__, (x), #x)
#define check_int(got, want) check_int_at(__FILE__, __LINE__, (got), (want), #got)
/* Two NULLs are equal. */
#define check_str(got, want) check_str_at(__FILE__, __LINE__, (got), (want), #got)
/* `got` contains `part`. */
#define check_has(got, part) check_has_at(__FILE__, __LINE__, (got), (part), #got)
/* A call that must succeed: prints the error's text when it does not. Uses a local `err`. */
#define check_ok(call, err)                                                                        \
    check_true_at(__FILE__, __LINE__, (call) >= 0, (err) ? err_text(err) : #call)

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
/* A fresh folder, removed at the end of the program. Owned by the harness. */
const char *check_tmpdir(void);
/* Waits (10 ms steps) until `cond` is true; fails the check after `timeout_ms`. For component tests
 * whose subject is another process. */
#define check_within(timeout_ms, cond)                                                             \
    ({                                                                                             \
        int64_t until_ = check_now_ms() + (timeout_ms);                                            \
        bool held_ = false;                                                                        \
        while (!(held_ = (cond)) && check_now_ms() < until_)                                       \
            check_pause();                                                                         \
        check_true_at(__FILE__, __LINE__, held_, #cond " within " #timeout_ms " ms");               \
    })
int64_t check_now_ms(void);
void check_pause(void);
