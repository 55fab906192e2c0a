/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Machines on a private libvirtd, for real. A boot under emulation takes half a minute, so what needs
 * one runs with FLEETRIG_SLOW_TESTS=1 only (scenarios boot machines in any case).
 */

#include "rig/lab/machines.h"

#include <dirent.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/artefact.h"
#include "rig/lab/kvm_probe.h"
#include "rig/lab/machine_faults.h"
#include "rig/lab/play.h"
#include "rig/lab/remote.h"

static int put(const struct device_host *device, const char *path, const void *data, size_t len,
               mode_t mode, bool *changed, struct err **err)
{
    struct host_file file = { path, data, len, mode, false };
    int r = device->put_files(device->impl, &file, 1, err);

    if (changed)
        *changed = file.changed;
    return r;
}

TEST(a_private_daemon_starts_and_ends_with_the_rig)
{
    const char *dir = check_tmpdir();
    struct bench b = { 0 };
    CLEANUP_FREE char *log = NULL;
    pid_t pid;

    bench_up(&b, dir, "rigtest");
    check_has(machines_uri(b.machines), "qemu+unix:///system?socket=");
    check_true(supervisor_running(b.supervisor, "libvirtd"));
    pid = supervisor_pid(b.supervisor, "libvirtd");
    bench_down(&b);
    check_true(kill(pid, 0) < 0);
}

TEST(two_private_daemons_do_not_meet)
{
    const char *dir = check_tmpdir(), *other_dir = check_tmpdir();
    struct bench b = { 0 }, other = { 0 };

    bench_up(&b, dir, "rigtest");
    bench_up(&other, other_dir, "rigtest");
    check_true(strcmp(machines_uri(b.machines), machines_uri(other.machines)) != 0);
    bench_down(&b);
    check_true(supervisor_running(other.supervisor, "libvirtd"));
    bench_down(&other);
}

TEST(a_name_that_could_escape_is_refused)
{
    static const char *const names[] = { "", "../x", "a b", "-a", "a-", "A", "a,b=c", "a.b" };
    struct bench b = { 0 };

    bench_up(&b, check_tmpdir(), "rigtest");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct machine_spec spec = spec_of(&b, "/nonexistent");
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", names[i]);
        spec.name = names[i];
        check_int(machines_host(b.machines)->ensure(b.machines, &spec, NULL, &err), -EINVAL);
        check_has(err_text(err), "cannot be a machine's name");
    }
    bench_down(&b);
}

TEST(a_full_disk_is_told_before_anything_starts)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *small = xasprintf("%s/machines", dir);
    CLEANUP_ERR struct err *err = NULL;
    struct bench b = { 0 };
    struct machine_spec spec;

    if (mkdir(small, 0755) < 0 || mount("none", small, "tmpfs", 0, "size=16m") < 0)
        check_skip("mounting a small file system is not allowed here");
    bench_up(&b, dir, "rigtest");
    spec = spec_of(&b, "/nonexistent");
    check_int(machines_host(b.machines)->ensure(b.machines, &spec, NULL, &err), -ENOSPC);
    check_has(err_text(err), small);
    check_has(err_text(err), "16 MiB are free, a machine needs 1536 MiB");
    check_true(machine_console(b.machines, "edge-1") == NULL);
    bench_down(&b);
    umount2(small, MNT_DETACH);
}

static int not_interrupted(void *userdata, struct err **err)
{
    (void)userdata;
    (void)err;
    return 0;
}

TEST(kvm_is_believed_only_after_a_boot)
{
    CLEANUP_FREE char *why = NULL, *again = NULL;
    CLEANUP_ERR struct err *err = NULL;
    const char *dir = check_tmpdir();
    bool works = true, works_again = true;
    int64_t start = clock_mono_ms();

    /* A folder without a kernel: whatever this host can do, nothing boots. */
    need_ok(kvm_works("/nonexistent", dir, not_interrupted, NULL, &works, &why, &err), err);
    check_true(!works);
    check_true(clock_mono_ms() - start < 15000);
    check_true(strlen(why) > 0);
    start = clock_mono_ms();
    need_ok(kvm_works("/nonexistent", dir, not_interrupted, NULL, &works_again, &again, &err), err);
    check_true(!works_again);
    check_str(again, why);
    check_true(clock_mono_ms() - start < 3000);
}

/* --- with a device ---------------------------------------------------------------------------- */

static void check_commands(const struct device_host *device)
{
    CLEANUP_FREE char *name = OUTPUT(device, "hostname");
    CLEANUP_FREE char *words =
            OUTPUT(device, "printf", "<%s>", "it's", "$HOME `id` \"x\"", "", "a\nb");
    CLEANUP_FREE char *big = OUTPUT(device, "sh", "-c", "yes | head -c 1500000");
    CLEANUP_ERR struct err *err = NULL;
    char *out = NULL;
    int status = 0;

    check_str(name, "edge-1\n");
    check_str(words, "<it's><$HOME `id` \"x\"><><a\nb>");
    need_true(strlen(big) > 1 << 20);
    check_has(big + (1 << 20), "[cut: more than 1048576 bytes of output]");
    check_ok(
            device->run(device->impl,
                        (const char *const[]){ "sh", "-c", "echo out; echo err >&2; exit 3", NULL },
                        10000, &status, &out, &err),
            err);
    check_int(status, 3);
    check_str(out, "out\nerr\n");
    free(out);
    check_int(device->run(device->impl, (const char *const[]){ "sleep", "30", NULL }, 1000, &status,
                          NULL, &err),
              -ETIMEDOUT);
    check_has(err_text(err), "running sleep: timed out");
}

static void check_files(const struct device_host *device)
{
    size_t len = 3 << 20;
    char *data = xmalloc(len);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *stat_line = NULL;
    bool changed = false;
    int64_t start = clock_mono_ms();

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 7 + (i >> 11));
    check_ok(put(device, "/srv/it's/here", data, len, 0750, &changed, &err), err);
    tell("3 MiB copied", start);
    check_true(changed);
    stat_line = OUTPUT(device, "stat", "-c", "%s %a %U", "/srv/it's/here");
    check_str(stat_line, "3145728 750 root\n");
    check_ok(put(device, "/srv/it's/here", data, len, 0750, &changed, &err), err);
    check_true(!changed);
    check_ok(put(device, "/srv/it's/here", data, len, 0700, &changed, &err), err);
    check_true(changed);
    data[len - 1] ^= 1;
    check_ok(put(device, "/srv/it's/here", data, len, 0700, &changed, &err), err);
    check_true(changed);
    check_ok(put(device, "/srv/empty", NULL, 0, 0644, &changed, &err), err);
    check_true(put(device, "/proc/version", "x", 1, 0644, NULL, &err) < 0);
    check_has(err_text(err), "/proc/version");
    free(data);
}

static char *banner(uint16_t port)
{
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    CLEANUP_FREE char *command =
            xasprintf("exec 3<>/dev/tcp/127.0.0.1/%u; timeout 10 head -n 1 <&3", port);

    proc_run(ARGV("bash", "-c", command), NULL, 15000, &out, NULL, NULL);
    return buf_steal(&out);
}

static void check_power_cycle(struct bench *b, const struct device_host *device, uint16_t forward)
{
    CLEANUP_FREE char *id = OUTPUT(device, "cat", "/etc/machine-id"), *id_after = NULL;
    CLEANUP_FREE char *boot = OUTPUT(device, "cat", "/proc/sys/kernel/random/boot_id");
    CLEANUP_FREE char *boot_after = NULL, *synced = NULL, *greeting = NULL;
    CLEANUP_FREE char *print = xstrdup(machine_fingerprint(b->machines, "edge-1"));
    CLEANUP_ERR struct err *err = NULL;
    int64_t start;
    int status = 0;

    free(OUTPUT(device, "sh", "-c", "echo kept >/root/kept; sync /root/kept"));
    start = clock_mono_ms();
    check_ok(machine_power_cut(b->machines, "edge-1", &err), err);
    tell("power cut", start);
    check_true(!machine_powered(b->machines, "edge-1"));
    check_ok(machine_power_cut(b->machines, "edge-1", &err), err);
    check_ok(machines_check(b->machines, &err), err);
    check_true(device->run(device->impl, (const char *const[]){ "true", NULL }, 5000, &status, NULL,
                           &err) < 0);
    start = clock_mono_ms();
    check_ok(machine_power_on(b->machines, "edge-1", &err), err);
    need_ok(machines_host(b->machines)->reach(b->machines, "edge-1", BOOT_MS, &device, &err), err);
    tell("power on to SSH", start);
    id_after = OUTPUT(device, "cat", "/etc/machine-id");
    boot_after = OUTPUT(device, "cat", "/proc/sys/kernel/random/boot_id");
    synced = OUTPUT(device, "cat", "/root/kept");
    check_str(id_after, id);
    check_true(strcmp(boot, boot_after) != 0);
    check_str(synced, "kept\n");
    check_str(machine_fingerprint(b->machines, "edge-1"), print);
    greeting = banner(forward);
    check_has(greeting, "SSH-2.0-");
}

SLOW_TEST(a_machine_boots_serves_loses_power_and_returns)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *image = NULL, *console = NULL, *greeting = NULL, *disk = NULL;
    CLEANUP_FREE char *why = NULL;
    const struct device_host *device = NULL;
    const struct machine_host *host;
    const char *dir = check_tmpdir();
    struct bench b = { 0 };
    struct machine_spec spec;
    uint16_t port = 0, again = 0;
    bool changed = false;
    int64_t start;

    check_timeout(400);
    image = device_image();
    start = clock_mono_ms();
    bench_up(&b, dir, "rigslow");
    tell("libvirtd started", start);
    start = clock_mono_ms();
    need_ok(kvm_works(image, dir, not_interrupted, NULL, &changed, &why, &err), err);
    printf("# KVM: %s\n", why);
    tell("KVM probed", start);
    host = machines_host(b.machines);
    spec = spec_of(&b, image);
    start = clock_mono_ms();
    need_ok(host->ensure(host->impl, &spec, &changed, &err), err);
    check_true(changed);
    tell("defined and started", start);
    check_true(machine_powered(b.machines, "edge-1"));
    need_ok(host->reach(host->impl, "edge-1", BOOT_MS, &device, &err), err);
    tell("define to SSH", start);
    need_ok(host->ensure(host->impl, &spec, &changed, &err), err);
    check_true(!changed);
    check_has(machine_fingerprint(b.machines, "edge-1"), "SHA256:");
    check_commands(device);
    check_files(device);
    check_ok(machine_forward(b.machines, "edge-1", 22, &again, &err), err);
    free(OUTPUT(
            device, "sh", "-c",
            "sed -i 's/^#*Port.*/Port 22/; $a Port 2022' /etc/ssh/sshd_config && systemctl restart ssh"));
    check_ok(machine_forward(b.machines, "edge-1", 2022, &port, &err), err);
    check_ok(machine_forward(b.machines, "edge-1", 2022, &again, &err), err);
    check_int(again, port);
    greeting = banner(port);
    check_has(greeting, "SSH-2.0-");
    check_power_cycle(&b, device, port);
    check_ok(file_read(machine_console(b.machines, "edge-1"), 4 << 20, &console, NULL, &err), err);
    check_true(strlen(console) > 0);
    /* A guest that goes away by itself is told. */
    need_ok(host->reach(host->impl, "edge-1", BOOT_MS, &device, &err), err);
    free(OUTPUT(device, "sh", "-c", "systemctl poweroff --force --force >/dev/null 2>&1 & exit 0"));
    check_within(20000, !machine_powered(b.machines, "edge-1"));
    check_int(machines_check(b.machines, &err), -ECHILD);
    check_has(err_text(err), "machine edge-1 has ended by itself");
    disk = xasprintf("%s/machines/edge-1", dir);
    check_ok(host->remove(host->impl, "edge-1", &err), err);
    check_true(!file_exists(disk));
    check_int(processes_with(disk), 0);
    bench_down(&b);
}

TEST(faults_of_a_machine_that_is_not_there_are_told)
{
    static int (*const faults[])(struct machines *, const char *,
                                 struct err **) = { machine_reset, machine_pause, machine_resume };
    CLEANUP_ERR struct err *err = NULL;
    struct bench b = { 0 };

    bench_up(&b, check_tmpdir(), "rigtest");
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        CLEANUP_ERR struct err *trouble = NULL;

        check_int(faults[i](b.machines, "edge-9", &trouble), -ENOENT);
        check_has(err_text(trouble), "there is no machine edge-9");
    }
    check_int(machine_kill(b.machines, "edge-9", NULL, NULL), -ENOENT);
    check_int(machine_shut_down(b.machines, "edge-9", 1000, NULL), -ENOENT);
    check_int(machine_link(b.machines, "edge-9", false, NULL), -ENOENT);
    check_true(!machine_linked(b.machines, "edge-9"));
    check_true(!machine_paused(b.machines, "edge-9"));
    check_true(!machine_greets(b.machines, "edge-9", 100));
    bench_down(&b);
}

/* --- faults ----------------------------------------------------------------------------------- */

#define SILENT_MS 1000
#define GREETS(b, ms) machine_greets((b)->machines, "edge-1", ms)

static char *boot_id(struct bench *b)
{
    const struct machine_host *host = machines_host(b->machines);
    const struct device_host *device = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(host->reach(host->impl, "edge-1", BOOT_MS, &device, &err), err);
    return OUTPUT(device, "cat", "/proc/sys/kernel/random/boot_id");
}

static void check_standing_still(struct bench *b)
{
    CLEANUP_ERR struct err *err = NULL;

    check_ok(machine_pause(b->machines, "edge-1", &err), err);
    check_ok(machine_pause(b->machines, "edge-1", &err), err);
    check_true(machine_paused(b->machines, "edge-1"));
    check_true(machine_powered(b->machines, "edge-1"));
    check_true(!GREETS(b, SILENT_MS));
    check_ok(machine_resume(b->machines, "edge-1", &err), err);
    check_ok(machine_resume(b->machines, "edge-1", &err), err);
    check_true(!machine_paused(b->machines, "edge-1"));
    check_true(GREETS(b, 10000));
}

static void check_cable(struct bench *b)
{
    CLEANUP_FREE char *before = boot_id(b), *after = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_ok(machine_link(b->machines, "edge-1", false, &err), err);
    check_true(!machine_linked(b->machines, "edge-1"));
    check_true(!GREETS(b, SILENT_MS));
    check_ok(machine_link(b->machines, "edge-1", true, &err), err);
    check_true(machine_linked(b->machines, "edge-1"));
    after = boot_id(b);
    check_str(after, before);
}

/* The cable stays out over a new emulator. */
static void check_cable_over_power(struct bench *b)
{
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms(), booted;

    check_ok(machine_power_cut(b->machines, "edge-1", &err), err);
    check_ok(machine_link(b->machines, "edge-1", false, &err), err);
    check_ok(machine_power_on(b->machines, "edge-1", &err), err);
    check_true(!GREETS(b, 20000));
    check_ok(machine_link(b->machines, "edge-1", true, &err), err);
    free(boot_id(b));
    booted = clock_mono_ms() - start;
    check_true(booted > 20000);
}

static void check_killed(struct bench *b)
{
    CLEANUP_FREE char *before = boot_id(b), *after = NULL;
    CLEANUP_ERR struct err *err = NULL;
    pid_t pid = 0;

    check_ok(machine_kill(b->machines, "edge-1", &pid, &err), err);
    check_true(pid > 0);
    check_true(!machine_powered(b->machines, "edge-1"));
    check_ok(machines_check(b->machines, &err), err);
    check_ok(machine_kill(b->machines, "edge-1", &pid, &err), err);
    check_int(pid, 0);
    check_ok(machine_power_on(b->machines, "edge-1", &err), err);
    after = boot_id(b);
    check_true(!str_eq(before, after));
}

static void check_button(struct bench *b)
{
    CLEANUP_FREE char *before = boot_id(b), *after = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_ok(machine_reset(b->machines, "edge-1", &err), err);
    check_true(!GREETS(b, SILENT_MS));
    after = boot_id(b);
    check_true(!str_eq(before, after));
}

SLOW_TEST(faults_happen_to_a_machine_and_are_taken_back)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *image = NULL;
    struct bench b = { 0 };
    struct machine_spec spec;

    check_timeout(600);
    image = device_image();
    bench_up(&b, check_tmpdir(), "rigfault");
    spec = spec_of(&b, image);
    need_ok(machines_host(b.machines)->ensure(b.machines, &spec, NULL, &err), err);
    free(boot_id(&b));
    check_true(GREETS(&b, 10000));
    check_standing_still(&b);
    check_cable(&b);
    check_button(&b);
    check_killed(&b);
    check_ok(machine_shut_down(b.machines, "edge-1", 60000, &err), err);
    check_ok(machine_shut_down(b.machines, "edge-1", 60000, &err), err);
    check_ok(machines_check(b.machines, &err), err);
    check_int(machine_pause(b.machines, "edge-1", &err), -EHOSTDOWN);
    check_cable_over_power(&b);
    bench_down(&b);
}

/* The rig as a child, so that it can be killed. */
static pid_t rig_that_boots(const char *dir, const char *image, pid_t *ret_libvirtd)
{
    int pipe_fds[2];
    pid_t pid;

    need_true(pipe(pipe_fds) == 0);
    fflush(stdout);
    if ((pid = fork()) == 0) {
        struct bench b = { 0 };
        struct machine_spec spec;
        pid_t daemon;

        bench_up(&b, dir, "rigkill");
        spec = spec_of(&b, image);
        if (machines_host(b.machines)->ensure(b.machines, &spec, NULL, NULL) < 0)
            _exit(1);
        daemon = supervisor_pid(b.supervisor, "libvirtd");
        if (write(pipe_fds[1], &daemon, sizeof(daemon)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    close(pipe_fds[1]);
    check_int(read(pipe_fds[0], ret_libvirtd, sizeof(*ret_libvirtd)), sizeof(*ret_libvirtd));
    close(pipe_fds[0]);
    return pid;
}

/* Reaps whatever ended; libvirtd takes a machine whose process nobody reaps for alive. */
static bool reaped(pid_t wanted)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        if (pid == wanted)
            return true;
    return false;
}

SLOW_TEST(a_killed_rig_leaves_no_machine_and_no_daemon)
{
    CLEANUP_FREE char *image = NULL, *disk = NULL;
    const char *dir = check_tmpdir();
    pid_t rig, libvirtd = 0;
    int64_t start;

    image = device_image();
    disk = xasprintf("%s/machines/edge-1/disk.qcow2", dir);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rig = rig_that_boots(dir, image, &libvirtd);
    check_int(processes_with(disk), 1);
    kill(rig, SIGKILL);
    waitpid(rig, NULL, 0);
    start = clock_mono_ms();
    check_within(15000, reaped(libvirtd));
    tell("killed rig to no machine and no libvirtd", start);
    check_int(processes_with(disk), 0);
}

CHECK_MAIN()
