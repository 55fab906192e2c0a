/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/heal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/ledger/ledger.h"

/* A ledger whose owner is no more: `fill` writes its entries in a process that ends. */
static void dead_ledger(const char *dir, void (*fill)(struct ledger *l, void *userdata),
                        void *userdata)
{
    int status = 0;
    pid_t pid = fork();

    need_true(pid >= 0);
    if (pid == 0) {
        struct ledger *l = NULL;

        if (ledger_new(dir, &l, NULL) < 0)
            _exit(1);
        fill(l, userdata);
        _exit(0);
    }
    need_true(waitpid(pid, &status, 0) == pid && status == 0);
}

static void note(const char *line, void *userdata)
{
    strv_add(userdata, line);
}

struct said {
    char **lines;
    size_t n;
    int r;
    struct err *err;
};

static void said_done(struct said *s)
{
    strv_free(s->lines);
    err_free(s->err);
}
#define CLEANUP_SAID __attribute__((cleanup(said_done)))

static struct said run_heal(const char *dir, bool dry)
{
    struct said s = { 0 };

    s.r = heal(dir, dry, note, &s.lines, &s.n, &s.err);
    return s;
}

static void nothing_is_left(const char *dir)
{
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, dir);
    CLEANUP_LEDGER_PAGE struct ledger_page page = { 0 };
    CLEANUP_SAID struct said again = run_heal(dir, /* dry= */ false);
    CLEANUP_ERR struct err *err = NULL;

    check_int(again.r, 0);
    check_int((int64_t)again.n, 0);
    check_true(again.lines == NULL);
    need_ok(ledger_read(path, &page, &err), err);
    check_int((int64_t)page.n_open, 0);
}

/* --- Processes ------------------------------------------------------------------------------- */

static void start_sleeper(struct proc *p, char *const *argv)
{
    struct proc_spec spec = { .argv = argv, .own_group = true };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(proc_spawn(&spec, p, &err), err);
}

static void note_process(struct ledger *l, void *userdata)
{
    const struct proc *p = userdata;

    if (ledger_process(l, "nats", p->pid, NULL, NULL) < 0)
        _exit(1);
}

TEST(a_process_that_was_left_is_ended)
{
    char *const *const programs[] = {
        ARGV("sleep", "1000"),
        /* Takes no TERM. */
        ARGV("sh", "-c", "trap '' TERM; while :; do sleep 1; done"),
    };

    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        const char *dir = check_tmpdir();
        CLEANUP_FREE char *want = NULL;
        struct proc p = { 0 };

        check_case("%s", programs[i][0]);
        start_sleeper(&p, programs[i]);
        dead_ledger(dir, note_process, &p);
        want = xasprintf("ending nats (process %d)", (int)p.pid);
        CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
        check_int(s.r, 0);
        check_int((int64_t)s.n, 1);
        check_str(s.lines ? s.lines[0] : NULL, want);
        check_true(proc_ended(&p));
        proc_stop(&p, true, 0);
        nothing_is_left(dir);
    }
}

TEST(a_dry_run_ends_nothing)
{
    const char *dir = check_tmpdir();
    struct proc p = { 0 };

    start_sleeper(&p, ARGV("sleep", "1000"));
    dead_ledger(dir, note_process, &p);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ true);
    CLEANUP_SAID struct said again = run_heal(dir, /* dry= */ true);
    check_int((int64_t)s.n, 1);
    check_int((int64_t)again.n, 1);
    check_has(s.lines ? s.lines[0] : "", "would end nats");
    check_true(!proc_ended(&p));
    proc_stop(&p, true, 0);
}

static void note_other_start(struct ledger *l, void *userdata)
{
    const struct proc *p = userdata;
    struct ledger_entry entry = { .kind = LEDGER_PROCESS,
                                  .subject = (char[]){ "nats" },
                                  .pid = p->pid,
                                  .start = process_start(p->pid) + 1 };

    if (ledger_note(l, &entry, NULL, NULL) < 0)
        _exit(1);
}

TEST(a_process_that_only_has_the_pid_is_left_alone)
{
    const char *dir = check_tmpdir();
    struct proc p = { 0 };

    start_sleeper(&p, ARGV("sleep", "1000"));
    dead_ledger(dir, note_other_start, &p);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, 0);
    check_int((int64_t)s.n, 0);
    check_true(!proc_ended(&p));
    proc_stop(&p, true, 0);
    nothing_is_left(dir);
}

static void note_nothing(struct ledger *l, void *userdata)
{
    (void)l;
    (void)userdata;
}

TEST(after_a_reboot_pids_mean_nothing_and_folders_go)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, dir);
    CLEANUP_FREE char *folder = xasprintf("%s/disks", dir), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct proc p = { 0 };

    start_sleeper(&p, ARGV("sleep", "1000"));
    need_ok(dir_make(folder, 0700, &err), err);
    text = xasprintf(
            "{\"ledger\":1,\"pid\":%d,\"start\":%llu,\"boot\":\"another\"}\n"
            "{\"note\":1,\"kind\":\"process\",\"subject\":\"nats\",\"at\":1,"
            "\"pid\":%d,\"start\":%llu}\n"
            "{\"note\":2,\"kind\":\"folder\",\"subject\":\"%s\",\"at\":1}\n"
            "{\"note\":3,\"kind\":\"machine\",\"subject\":\"fleetrig-1-edge-1\",\"at\":1,"
            "\"place\":\"qemu+unix:///system?socket=/proc/%d/root/run/libvirt/libvirt-sock\","
            "\"uuid\":\"5b3e7a7c-0000-4000-8000-000000000000\"}\n",
            (int)getpid(), (unsigned long long)process_start(getpid()), (int)p.pid,
            (unsigned long long)process_start(p.pid), folder, (int)p.pid);
    need_ok(file_write(path, text, strlen(text), 0600, &err), err);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, 0);
    check_int((int64_t)s.n, 1);
    check_true(!file_exists(folder));
    check_true(!proc_ended(&p));
    proc_stop(&p, true, 0);
    nothing_is_left(dir);
}

/* --- Machines -------------------------------------------------------------------------------- */

static void note_machine(struct ledger *l, void *userdata)
{
    struct ledger_entry entry = { .kind = LEDGER_MACHINE,
                                  .subject = (char[]){ "fleetrig-1-edge-1" },
                                  .place = (char[]){ "qemu+unix:///system?socket=/proc/1/root/no" },
                                  .uuid = userdata };

    if (ledger_note(l, &entry, NULL, NULL) < 0)
        _exit(1);
}

/* The emulator's part is played by a sleep with its arguments: what it is known by. */
TEST(an_emulator_that_lost_its_daemon_is_killed_and_no_other)
{
    static char uuid[] = "5b3e7a7c-0000-4000-8000-000000000001";
    char *const *const others[] = {
        ARGV("sh", "-c", "sleep 1000", "x", "-name", "guest=fleetrig-1-edge-1,debug-threads=on",
             "-uuid", "5b3e7a7c-0000-4000-8000-000000000002"),
        ARGV("sh", "-c", "sleep 1000", "x", "-name", "guest=fleetrig-1-edge-11", "-uuid",
             "5b3e7a7c-0000-4000-8000-000000000001"),
    };
    const char *dir = check_tmpdir();
    struct proc ours = { 0 }, foreign[2] = { 0 };

    start_sleeper(&ours, ARGV("sh", "-c", "sleep 1000", "x", "-name",
                              "guest=fleetrig-1-edge-1,debug-threads=on", "-uuid", uuid));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        start_sleeper(&foreign[i], others[i]);
    dead_ledger(dir, note_machine, uuid);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, 0);
    check_int((int64_t)s.n, 1);
    check_has(s.lines ? s.lines[0] : "", "ending the emulator of machine fleetrig-1-edge-1");
    check_true(proc_ended(&ours));
    proc_stop(&ours, true, 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        check_true(!proc_ended(&foreign[i]));
        proc_stop(&foreign[i], true, 0);
    }
    nothing_is_left(dir);
}

/* --- Folders and mounts ---------------------------------------------------------------------- */

static void note_folders(struct ledger *l, void *userdata)
{
    for (char **path = userdata; *path; path++) {
        struct ledger_entry entry = { .kind = LEDGER_FOLDER, .subject = *path };

        if (ledger_note(l, &entry, NULL, NULL) < 0)
            _exit(1);
    }
}

TEST(folders_go_but_none_outside_of_the_labs_own)
{
    const char *dir = check_tmpdir(), *elsewhere = check_tmpdir();
    CLEANUP_FREE char *inside = xasprintf("%s/machines", dir);
    CLEANUP_FREE char *around = xasprintf("%s/x/../../../etc", dir);
    char *paths[] = { inside, (char *)elsewhere, (char *)dir, around, NULL };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(inside, 0700, &err), err);
    dead_ledger(dir, note_folders, paths);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, 0);
    check_int((int64_t)s.n, 1);
    check_true(!file_exists(inside));
    check_true(file_exists(elsewhere));
    check_true(file_exists("/etc"));
    nothing_is_left(dir);
}

static void note_mount(struct ledger *l, void *userdata)
{
    struct ledger_entry entry = { .kind = LEDGER_MOUNT, .subject = userdata };

    if (ledger_note(l, &entry, NULL, NULL) < 0)
        _exit(1);
}

TEST(mounts_go)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *where = xasprintf("%s/data", dir), *file = xasprintf("%s/data/file", dir);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(where, 0700, &err), err);
    if (mount("none", where, "tmpfs", 0, NULL) < 0)
        check_skip("may not mount: %s", strerror(errno));
    need_ok(file_write(file, "", 0, 0600, &err), err);
    dead_ledger(dir, note_mount, where);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, 0);
    check_int((int64_t)s.n, 1);
    check_true(!file_exists(file));
    nothing_is_left(dir);
}

/* --- Whose it is ----------------------------------------------------------------------------- */

TEST(what_a_living_rig_has_is_left_alone)
{
    const char *dir = check_tmpdir();
    CLEANUP(ledger_free) struct ledger *l = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct proc p = { 0 };

    need_ok(ledger_new(dir, &l, &err), err);
    start_sleeper(&p, ARGV("sleep", "1000"));
    need_ok(ledger_process(l, "nats", p.pid, NULL, &err), err);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, -EBUSY);
    check_true(!proc_ended(&p));
    proc_stop(&p, true, 0);
}

TEST(a_folder_without_a_ledger_has_nothing_to_take_back)
{
    CLEANUP_SAID struct said s = run_heal(check_tmpdir(), /* dry= */ false);

    check_int(s.r, 0);
    check_int((int64_t)s.n, 0);
}

TEST(a_ledger_of_another_version_is_not_touched)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, dir);
    static const char text[] = "{\"ledger\":2}\n";
    CLEANUP_ERR struct err *err = NULL;

    need_ok(file_write(path, text, strlen(text), 0600, &err), err);
    CLEANUP_SAID struct said s = run_heal(dir, /* dry= */ false);
    check_int(s.r, -EPROTO);
    check_has(err_text(s.err), "version 2");
}

TEST(an_empty_ledger_of_a_dead_rig_is_nothing)
{
    const char *dir = check_tmpdir();

    dead_ledger(dir, note_nothing, NULL);
    nothing_is_left(dir);
}

CHECK_MAIN()
