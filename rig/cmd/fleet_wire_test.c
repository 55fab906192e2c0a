/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/fleet_wire.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define DIR "rig/cmd/testdata/request/"

TEST(requests_are_read_and_written_as_they_stand_in_the_golden_files)
{
    static const struct {
        const char *file, *name;
        enum ask ask;
    } cases[] = {
        { "status", "status", ASK_STATUS },
        { "wait", "wait", ASK_WAIT },
        { "down", "down", ASK_DOWN },
        { "do", "do cut power of edge-1", ASK_DO },
        { "expect-within", "expect device edge-1 is reachable", ASK_EXPECT },
        { "expect-holds", "expect device edge-1 is reachable", ASK_EXPECT },
        { "heal", "heal", ASK_HEAL },
        { "redeploy-agent", "redeploy agent", ASK_REDEPLOY },
        { "redeploy-operator", "redeploy operator", ASK_REDEPLOY },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *path = xasprintf(DIR "%s.json", cases[i].file), *text = NULL,
                          *again = NULL, *name = NULL;
        CLEANUP_ERR struct err *err = NULL;
        struct request r = { 0 };
        size_t len = 0;

        check_case("%s", cases[i].file);
        text = check_read(path, &len);
        if (!check_ok(request_parse(text, len, &r, &err), err))
            continue;
        check_int(r.ask, cases[i].ask);
        again = request_text(&r);
        check_str(again, text);
        name = request_name(&r);
        check_str(name, cases[i].name);
        request_done(&r);
    }
}

TEST(a_bad_request_is_refused_with_a_reason)
{
    static const struct {
        const char *file, *want;
    } cases[] = {
        { "not-json", "request: " },
        { "cut-off", "request: " },
        { "not-an-object", "not an object" },
        { "no-version", "version 0 of the protocol; this keeper speaks version 1" },
        { "other-version", "version 2 of the protocol; this keeper speaks version 1" },
        { "version-is-text", "version 0 of the protocol" },
        { "no-verb", "'' is nothing that a keeper does" },
        { "unknown-verb", "'explode' is nothing that a keeper does" },
        { "verb-is-number", "'' is nothing that a keeper does" },
        { "twice", "request: " },
        { "no-sentence", "'sentence' must be a text" },
        { "empty-sentence", "'sentence' must be a text" },
        { "no-folder", "'folder' must be a text" },
        { "relative-folder", "'folder' must be an absolute path" },
        { "no-deadline", "exactly one of 'within_ms' and 'holds_ms'" },
        { "two-deadlines", "exactly one of 'within_ms' and 'holds_ms'" },
        { "negative-deadline", "'within_ms' must be a number of milliseconds" },
        { "deadline-of-a-year", "'within_ms' must be a number of milliseconds, at most a day" },
        { "deadline-is-text", "'within_ms' must be a number of milliseconds" },
        { "redeploy-what", "'what' must be agent or operator" },
        { "redeploy-relative", "'programs' must be an absolute path" },
        { "devices-is-text", "'devices' must be a list" },
        { "devices-are-numbers", "'devices' must be a list of names" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *path = xasprintf(DIR "bad/%s", cases[i].file), *text = NULL;
        CLEANUP_ERR struct err *err = NULL;
        struct request r = { .owner = true };
        size_t len = 0;
        int n;

        check_case("%s", cases[i].file);
        text = check_read(path, &len);
        n = request_parse(text, len, &r, &err);
        check_int(n, strstr(cases[i].want, "version")     ? -EPROTO
                     : str_eq(cases[i].want, "request: ") ? -EBADMSG
                                                          : -EINVAL);
        check_has(err_text(err), cases[i].want);
        check_true(r.owner && !r.sentence);
    }
}

TEST(down_is_understood_in_every_version)
{
    static const char *const cases[] = { "{\"do\":\"down\"}", "{\"v\":99,\"do\":\"down\",\"x\":{}}",
                                         "{\"v\":\"2\",\"do\":\"down\"}" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct request r = { 0 };

        check_case("%s", cases[i]);
        check_ok(request_parse(cases[i], strlen(cases[i]), &r, &err), err);
        check_int(r.ask, ASK_DOWN);
    }
}

TEST(a_request_longer_than_its_cap_is_refused)
{
    CLEANUP_FREE char *long_name = xasprintf("%*s", REQUEST_MAX, "x"), *text = NULL;
    struct request r = { .ask = ASK_DO, .sentence = long_name, .folder = long_name }, got = { 0 };
    CLEANUP_ERR struct err *err = NULL;

    text = request_text(&r);
    check_true(request_parse(text, strlen(text), &got, &err) < 0);
    check_true(err != NULL);
}

TEST(answers_come_back_as_they_were_sent)
{
    struct answer cases[] = {
        { .kind = ANSWER_LINE, .text = xstrdup("ok    it \"holds\"") },
        { .kind = ANSWER_STATUS, .text = xstrdup("") },
        { .kind = ANSWER_EXIT, .text = xstrdup("why\nin two lines"), .exit = 3 },
        { .kind = ANSWER_EXIT, .text = xstrdup(""), .data = json_pack("{s:i}", "n", 1) },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text = answer_text(&cases[i]);
        CLEANUP_ERR struct err *err = NULL;
        struct answer got = { 0 };

        check_case("%s", text);
        check_true(str_ends(text, "\n") && !strchr(text, '\n')[1]);
        check_ok(answer_parse(text, strlen(text), &got, &err), err);
        check_int(got.kind, cases[i].kind);
        check_str(got.text, cases[i].text);
        check_int(got.exit, cases[i].exit);
        check_int(json_path_int(got.data, "n", 0), json_path_int(cases[i].data, "n", 0));
        answer_done(&got);
        answer_done(&cases[i]);
    }
}

TEST(an_answer_that_is_none_is_refused)
{
    static const char *const cases[] = {
        "",
        "{}",
        "[]",
        "{\"line\":1}",
        "{\"exit\":\"0\"}",
        "{\"exit\":-1}",
        "{\"exit\":256}",
        "{\"line\":\"x\"",
        "{\"status\":null}",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct answer got = { .exit = 5 };

        check_case("%s", cases[i]);
        check_true(answer_parse(cases[i], strlen(cases[i]), &got, &err) < 0);
        check_has(err_text(err), "answer of the keeper: ");
        check_int(got.exit, 5);
    }
}

CHECK_MAIN()
