/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/ledger/ledger.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

static char *ledger_in(const char *dir)
{
    return xasprintf("%s/" LEDGER_NAME, dir);
}

TEST(what_was_noted_and_not_crossed_out_is_open)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = ledger_in(dir);
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct ledger_entry machine = { .kind = LEDGER_MACHINE,
                                    .subject = (char[]){ "rig-1-edge-1" },
                                    .place = (char[]){ "qemu:///system" },
                                    .uuid = (char[]){ "0c4b9d7e" } };
    struct ledger_page page = { 0 };
    uint64_t fault = 0, process = 0, id = 0;

    need_ok(ledger_new(dir, &l, &err), err);
    need_ok(ledger_process(l, "nats", getpid(), &process, &err), err);
    need_ok(ledger_note(l, &machine, NULL, &err), err);
    need_ok(ledger_fault(l, "cut power of edge-1", &fault, &err), err);
    need_ok(ledger_fault(l, "cut power of edge-2", &id, &err), err);
    need_ok(ledger_done(l, fault, &err), err);
    need_ok(ledger_done(l, /* id= */ 0, &err), err);
    /* Durable and whole while the writer is still at it. */
    need_ok(ledger_read(path, &page, &err), err);
    check_int((int64_t)page.n_open, 3);
    check_int(page.pid, getpid());
    check_true(ledger_owner_lives(&page));
    check_int((int64_t)page.open[0].id, (int64_t)process);
    check_int(page.open[0].kind, LEDGER_PROCESS);
    check_int(page.open[0].pid, getpid());
    check_int((int64_t)page.open[0].start, (int64_t)process_start(getpid()));
    check_str(page.open[1].subject, "rig-1-edge-1");
    check_str(page.open[1].place, "qemu:///system");
    check_str(page.open[1].uuid, "0c4b9d7e");
    check_str(page.open[2].subject, "cut power of edge-2");
    check_true(page.open[2].wall_ms > 0);
    ledger_page_done(&page);
}

TEST(no_ledger_takes_notes_of_nothing)
{
    uint64_t id = 7;

    check_int(ledger_fault(NULL, "cut power of edge-1", &id, NULL), 0);
    check_int((int64_t)id, 0);
    check_int(ledger_process(NULL, "gone", -1, &id, NULL), 0);
    check_int(ledger_done(NULL, 3, NULL), 0);
    ledger_free(NULL);
}

TEST(a_ledger_that_is_there_is_not_overwritten)
{
    const char *dir = check_tmpdir();
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct ledger *other = NULL;

    need_ok(ledger_new(dir, &l, &err), err);
    check_int(ledger_new(dir, &other, &err), -EEXIST);
    check_has(err_next(err), "rig heal");
}

TEST(a_process_that_is_gone_cannot_be_noted)
{
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(ledger_new(check_tmpdir(), &l, &err), err);
    check_int(ledger_process(l, "gone", 0x7ffffff, NULL, &err), -ESRCH);
}

TEST(a_cut_last_line_is_passed_over_and_mended)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = ledger_in(dir), *text = NULL;
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct ledger_page page = { 0 };
    size_t len = 0;

    text = check_read("rig/ledger/testdata/good.jsonl", &len);
    need_ok(file_write(path, text, len, 0600, &err), err);
    need_ok(ledger_read(path, &page, &err), err);
    check_int((int64_t)page.n_open, 3);
    check_str(page.open[1].subject, "cut power of edge-1");
    check_int((int64_t)page.open[2].id, 4);
    check_true(!ledger_owner_lives(&page));
    ledger_page_done(&page);

    need_ok(ledger_reopen(dir, &l, &err), err);
    need_ok(ledger_done(l, 1, &err), err);
    need_ok(ledger_done(l, 4, &err), err);
    need_ok(ledger_read(path, &page, &err), err);
    check_int((int64_t)page.n_open, 1);
    check_int((int64_t)page.open[0].id, 3);
    ledger_page_done(&page);
}

/* A page whose owner is this process but for one member. */
TEST(neither_a_reused_pid_nor_a_reboot_deceives)
{
    static const struct {
        const char *name, *boot;
        bool other_pid, other_start, no_start, lives;
    } table[] = {
        { .name = "the owner", .lives = true },
        { .name = "another process has its pid", .other_start = true },
        { .name = "the start time is not known", .no_start = true },
        { .name = "no such process", .other_pid = true },
        { .name = "before a reboot", .boot = "00000000-0000-0000-0000-000000000000" },
    };
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = ledger_in(dir);
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(ledger_new(dir, &l, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct ledger_page page = { 0 };

        check_case("%s", table[i].name);
        need_ok(ledger_read(path, &page, &err), err);
        if (table[i].boot)
            snprintf(page.boot, sizeof(page.boot), "%s", table[i].boot);
        if (table[i].other_pid)
            page.pid = 0x7ffffff;
        page.start = table[i].no_start ? 0 : page.start + table[i].other_start;
        check_int(ledger_owner_lives(&page), table[i].lives);
        ledger_page_done(&page);
    }
}

TEST(a_dead_process_that_nobody_reaped_does_not_live)
{
    pid_t child = fork();
    siginfo_t info;

    if (child == 0)
        _exit(0);
    need_true(child > 0);
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    check_int((int64_t)process_start(child), 0);
    waitpid(child, NULL, 0);
    check_true(process_start(getpid()) > 0);
    check_int((int64_t)process_start(0), 0);
}

static bool has_open_entry(const char *path)
{
    struct ledger_page page = { 0 };
    bool has = ledger_read(path, &page, NULL) == 0 && page.n_open > 0;

    ledger_page_done(&page);
    return has;
}

/* A rig that is killed with -9 while it writes leaves a ledger that can be read. */
TEST(a_writer_killed_at_any_time_leaves_whole_entries)
{
    for (int i = 0; i < 5; i++) {
        const char *dir = check_tmpdir();
        CLEANUP_FREE char *path = ledger_in(dir);
        CLEANUP_ERR struct err *err = NULL;
        struct ledger_page page = { 0 };
        pid_t child = fork();

        if (child == 0) {
            struct ledger *l = NULL;

            ledger_new(dir, &l, NULL);
            for (uint64_t id = 0;;)
                if (ledger_fault(l, "cut power of edge-1", &id, NULL) < 0 ||
                    ledger_done(l, id, NULL) < 0)
                    _exit(1);
        }
        need_true(child > 0);
        check_within(5000, has_open_entry(path));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        check_ok(ledger_read(path, &page, &err), err);
        check_true(page.n_open <= 1);
        check_true(!ledger_owner_lives(&page));
        ledger_page_done(&page);
    }
}

static const struct {
    const char *name, *says;
} bad[] = {
    { "empty", "empty.jsonl is no ledger" },
    { "cut-head", "is no ledger" },
    { "foreign", "is no ledger" },
    { "no-json", "is no ledger" },
    { "newer", "is of version 2, this rig knows version 1" },
    { "version-text", "is no ledger" },
    { "no-boot", ":1: damaged: no owner" },
    { "negative-pid", ":1: damaged: no owner" },
    { "torn-middle", ":2: damaged: no JSON" },
    { "unknown-kind", ":2: damaged: no entry" },
    { "no-subject", ":2: damaged: no entry" },
    { "id-twice", ":3: damaged: no entry" },
    { "id-zero", ":2: damaged: no entry" },
    { "done-text", ":2: damaged: no entry" },
    { "no-object", ":2: damaged: no entry" },
    { "huge-pid", ":2: damaged: no entry" },
};

TEST(what_is_no_ledger_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_FREE char *path = xasprintf("rig/ledger/testdata/bad/%s.jsonl", bad[i].name);
        CLEANUP_ERR struct err *err = NULL;
        struct ledger_page page = { 0 };

        check_case("%s", bad[i].name);
        check_int(ledger_read(path, &page, &err), -EPROTO);
        check_has(err_text(err), bad[i].says);
        check_true(page.open == NULL);
        check_int(ledger_read(path, &page, NULL), -EPROTO);
    }
}

CHECK_MAIN()
