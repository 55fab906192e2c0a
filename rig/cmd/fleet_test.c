/* SPDX-License-Identifier: AGPL-3.0-only */

/* The folder of a fleet and its state file. */

#include "rig/cmd/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#define STATES "rig/cmd/testdata/state/"

static struct fleet *fleet_at(const char *cache)
{
    struct place place = { .cache = (char *)(uintptr_t)cache };
    CLEANUP_ERR struct err *err = NULL;
    struct fleet *f = NULL;

    need_ok(fleet_new(&place, FLEET_NAME, &f, &err), err);
    return f;
}

TEST(a_fleet_has_a_plain_name)
{
    static const struct {
        const char *name;
        bool good;
    } cases[] = {
        { "local", true },
        { "a", true },
        { "pi-4", true },
        { "", false },
        { "-x", false },
        { "..", false },
        { "a/b", false },
        { "Big", false },
        { "a b", false },
        { "0123456789012345678901234567890123456789", true },
        { "01234567890123456789012345678901234567890", false },
    };
    struct place place = { .cache = (char[]){ "/nowhere" } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(fleet_free) struct fleet *f = NULL;
        CLEANUP_ERR struct err *err = NULL;

        check_case("'%s'", cases[i].name);
        check_int(fleet_new(&place, cases[i].name, &f, &err) == 0, cases[i].good);
        check_true(cases[i].good == (err == NULL));
    }
}

TEST(a_folder_whose_lock_is_held_is_a_living_fleet)
{
    const char *cache = check_tmpdir();
    CLEANUP(fleet_free) struct fleet *keeper = fleet_at(cache), *other = fleet_at(cache);
    CLEANUP_ERR struct err *err = NULL;

    check_int(fleet_life(other), FLEET_NONE);
    check_int(fleet_lock(keeper, &err), 1);
    check_int(fleet_life(other), FLEET_ALIVE);
    check_int(fleet_lock(other, &err), 0);
    close(steal_fd(&keeper->lock_fd));
    check_int(fleet_life(other), FLEET_DEAD);
    check_int(fleet_lock(other, &err), 1);
}

TEST(a_dead_fleet_is_cleared_away_whole)
{
    const char *cache = check_tmpdir();
    CLEANUP(fleet_free) struct fleet *f = fleet_at(cache);
    CLEANUP_FREE char *deep = fleet_path(f, "lab/machines/edge-1"),
                      *file = fleet_path(f, "state.json");
    CLEANUP_ERR struct err *err = NULL;

    check_int(fleet_lock(f, &err), 1);
    need_ok(dir_make(deep, 0700, &err), err);
    need_ok(file_write(file, "{", 1, 0600, &err), err);
    check_ok(fleet_clear(f, &err), err);
    check_true(!file_exists(file) && !file_exists(deep));
    check_int(fleet_life(f), FLEET_DEAD);
    check_ok(fleet_remove(f, &err), err);
    check_true(!file_exists(f->dir));
    check_ok(fleet_remove(f, &err), err);
}

TEST(after_a_fleet_has_gone_the_next_has_a_folder_of_its_own)
{
    const char *cache = check_tmpdir();
    CLEANUP(fleet_free) struct fleet *gone = fleet_at(cache), *next = fleet_at(cache);
    CLEANUP_ERR struct err *err = NULL;

    check_int(fleet_lock(gone, &err), 1);
    check_ok(fleet_remove(gone, &err), err);
    check_int(fleet_lock(next, &err), 1); /* although the other still holds its own */
    check_int(fleet_life(gone), FLEET_DEAD);
    fleet_free(steal_ptr(gone));
    gone = fleet_at(cache);
    check_int(fleet_life(gone), FLEET_ALIVE);
}

TEST(a_socket_is_reached_however_deep_its_folder_lies)
{
    CLEANUP_FREE char *cache = xasprintf("%s/%0120d/%0120d", check_tmpdir(), 1, 2);
    CLEANUP(fleet_free) struct fleet *f = fleet_at(cache);
    CLEANUP_FREE char *path = fleet_path(f, "socket");
    CLEANUP_CLOSE int listening = -1, ours = -1, theirs = -1;
    CLEANUP_ERR struct err *err = NULL;
    struct stat st;
    char c = 0;

    check_int(fleet_connect(f, &ours, &err), -ENOENT);
    check_int(fleet_lock(f, &err), 1);
    check_int(fleet_connect(f, &ours, &err), -ENOENT);
    need_ok(fleet_listen(f, &listening, &err), err);
    check_true(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    need_ok(fleet_connect(f, &ours, &err), err);
    theirs = accept(listening, NULL, NULL);
    check_int(write(ours, "x", 1), 1);
    check_int(read(theirs, &c, 1), 1);
    close(steal_fd(&listening));
    close(steal_fd(&ours));
    check_int(fleet_connect(f, &ours, &err), -ECONNREFUSED);
    need_ok(fleet_listen(f, &listening, &err), err); /* over what a dead one left */
}

/* Makes `other` a living fleet with what stands in `file` as its state, and asks for it. */
static int need_with(const char *file, char **ret_text)
{
    const char *cache = check_tmpdir();
    CLEANUP(fleet_free) struct fleet *keeper = fleet_at(cache), *asker = fleet_at(cache);
    CLEANUP_FREE char *path = fleet_path(keeper, FLEET_STATE), *text = NULL;
    CLEANUP_FLEET_STATE struct fleet_state state = { 0 };
    CLEANUP_ERR struct err *err = NULL;
    size_t len = 0;
    int r;

    check_int(fleet_lock(keeper, &err), 1);
    if (file) {
        text = check_read(file, &len);
        need_ok(file_write(path, text, len, 0600, &err), err);
    }
    r = fleet_need(asker, &state, &err);
    *ret_text = err ? err_text_full(err) : xstrdup("");
    return r;
}

TEST(commands_say_what_to_do_when_there_is_no_fleet_for_them)
{
    static const struct {
        const char *file, *want;
    } cases[] = {
        { STATES "up.json", "" },
        { NULL, "the fleet local is still coming up\nrig up waits for it" },
        { STATES "coming-up.json", "the fleet local is still coming up\nrig up waits for it" },
        { STATES "bad/half-written", "rig down takes it down, rig up then starts another" },
        { STATES "bad/empty", "rig down takes it down, rig up then starts another" },
        { STATES "bad/other-version",
          "it is of version 7; this rig knows version 1\nrig down takes" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text = NULL;

        check_case("%s", cases[i].file ? cases[i].file : "no state");
        check_int(need_with(cases[i].file, &text) == 0, !*cases[i].want);
        check_has(text, cases[i].want);
    }
}

TEST(a_dead_fleet_and_none_are_told_apart)
{
    const char *cache = check_tmpdir();
    CLEANUP(fleet_free) struct fleet *f = fleet_at(cache);
    CLEANUP_FLEET_STATE struct fleet_state state = { 0 };
    CLEANUP_ERR struct err *none = NULL, *dead = NULL, *err = NULL;
    CLEANUP_FREE char *none_text = NULL, *dead_text = NULL;

    check_int(fleet_need(f, &state, &none), -ENOENT);
    none_text = err_text_full(none);
    check_str(none_text, "no fleet local is up\nstart one with: rig up");
    need_ok(dir_make(f->dir, 0700, &err), err);
    check_int(fleet_need(f, &state, &dead), -ENOENT);
    dead_text = err_text_full(dead);
    check_has(dead_text, "the fleet local died and left ");
    check_has(dead_text, "rig up starts it anew; rig down only clears away what is left");
}

TEST(a_state_is_written_as_it_was_read)
{
    static const char *const files[] = { STATES "up.json", STATES "coming-up.json" };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/state.json", check_tmpdir()), *want = NULL,
                          *got = NULL;
        CLEANUP_FLEET_STATE struct fleet_state s = { 0 };
        CLEANUP_JSON json_t *a = NULL, *b = NULL;
        CLEANUP_ERR struct err *err = NULL;
        size_t want_len = 0, len = 0;
        struct stat st;

        check_case("%s", files[i]);
        want = check_read(files[i], &want_len);
        need_ok(fleet_state_parse(files[i], want, want_len, &s, &err), err);
        need_ok(fleet_state_write(path, &s, &err), err);
        need_ok(file_read(path, FLEET_STATE_MAX, &got, &len, &err), err);
        need_ok(json_parse(want, want_len, FLEET_STATE_MAX, &a, &err), err);
        need_ok(json_parse(got, len, FLEET_STATE_MAX, &b, &err), err);
        check_true(json_equal(a, b));
        check_true(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    }
}

TEST(a_bad_state_is_refused)
{
    static const struct {
        const char *file, *want;
        int r;
    } cases[] = {
        { "empty", "", -EBADMSG },
        { "half-written", "", -EBADMSG },
        { "not-an-object", "it has no 'protocol' or no 'pid'", -EINVAL },
        { "other-version", "it is of version 7", -EPROTO },
        { "no-pid", "it has no 'protocol' or no 'pid'", -EINVAL },
        { "negative-pid", "it has no 'protocol' or no 'pid'", -EINVAL },
        { "up-without-paths", "it has no 'version'", -EINVAL },
        { "port-too-high", "a device has no name, no console or no port", -EINVAL },
        { "nameless-device", "a device has no name, no console or no port", -EINVAL },
        { "no-devices", "it has no list of 1 to 64 'devices'", -EINVAL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *path = xasprintf(STATES "bad/%s", cases[i].file), *text = NULL;
        CLEANUP_FLEET_STATE struct fleet_state s = { 0 };
        CLEANUP_ERR struct err *err = NULL;
        size_t len = 0;

        check_case("%s", cases[i].file);
        text = check_read(path, &len);
        check_int(fleet_state_parse(cases[i].file, text, len, &s, &err), cases[i].r);
        check_has(err_text(err), cases[i].want);
        check_int(s.pid, cases[i].r == -EPROTO ? 812 : 0);
    }
}

TEST(a_state_that_cannot_be_written_is_an_error)
{
    CLEANUP_ERR struct err *err = NULL;
    struct fleet_state s = { .pid = 1 };

    check_true(fleet_state_write("/dev/full/state.json", &s, &err) < 0);
    check_true(err != NULL);
}

CHECK_MAIN()
