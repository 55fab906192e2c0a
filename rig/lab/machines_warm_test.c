/* SPDX-License-Identifier: AGPL-3.0-only */

/* Warm machines, for real; see rig/lab/play.h. */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "rig/lab/play.h"

/* A cache of its own, but for what libvirt knows of the emulators. */
static const char *warm_cache(void)
{
    const char *cache = check_tmpdir();
    CLEANUP_FREE char *real = cache_dir(), *from = xasprintf("%s/libvirt", real);
    CLEANUP_FREE char *to = xasprintf("%s/libvirt", cache);

    need_true(symlink(from, to) == 0);
    return cache;
}

static const struct device_host *restored(struct bench *b, const char *image, const char *name)
{
    struct machine_spec spec = spec_of(b, image);
    const struct machine_host *host = machines_host(b->machines);
    const struct device_host *device = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms();

    spec.name = name;
    need_ok(host->ensure(host->impl, &spec, NULL, &err), err);
    need_ok(host->reach(host->impl, name, BOOT_MS, &device, &err), err);
    tell(name, start);
    return device;
}

/* What tells one machine from another. */
static char *identity(const struct device_host *device)
{
    return OUTPUT(device, "cat", "/etc/machine-id", "/proc/sys/kernel/random/boot_id",
                  "/proc/sys/kernel/hostname", "/etc/ssh/ssh_host_ed25519_key.pub",
                  "/run/authorized-keys/root");
}

static void check_all_differ(const char *a, const char *b)
{
    CLEANUP_STRV char **of_a = strv_split(a, "\n"), **of_b = strv_split(b, "\n");

    need_true(strv_len(of_a) == 5 && strv_len(of_b) == 5);
    for (size_t i = 0; i < 4; i++) {
        check_case("line %zu", i);
        check_true(!str_eq(of_a[i], of_b[i]));
    }
    check_str(of_a[4], of_b[4]); /* both let the run's key in, and only that */
}

static void check_clock(const struct device_host *device)
{
    CLEANUP_FREE char *now = OUTPUT(device, "date", "+%s");
    long long seconds = 0;

    need_true(sscanf(now, "%lld", &seconds) == 1);
    check_true(llabs(clock_wall_ms() / 1000 - seconds) <= 2);
}

static bool noted(const struct bench *b, const char *part)
{
    for (size_t i = 0; b->notes && b->notes[i]; i++)
        if (strstr(b->notes[i], part))
            return true;
    return false;
}

/* A file of the only snapshot there is. The caller frees it. */
static char *snapshot_file(const char *cache, const char *name)
{
    CLEANUP_FREE char *root = xasprintf("%s/warm", cache);
    char *found = NULL;
    DIR *d = opendir(root);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && !str_eq(e->d_name, "lock") && !found)
            found = xasprintf("%s/%s/%s", root, e->d_name, name);
    if (d)
        closedir(d);
    need_true(found != NULL);
    return found;
}

static void check_kept_over_a_power_cut(struct bench *b, const char *name, const char *before)
{
    const struct machine_host *host = machines_host(b->machines);
    CLEANUP_FREE char *print = xstrdup(machine_fingerprint(b->machines, name)), *after = NULL;
    CLEANUP_FREE char *journal = NULL;
    const struct device_host *device = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(machine_power_cut(b->machines, name, &err), err);
    need_ok(machine_power_on(b->machines, name, &err), err);
    need_ok(host->reach(host->impl, name, BOOT_MS, &device, &err), err);
    after = OUTPUT(device, "sh", "-c", "cat /etc/machine-id; hostname");
    check_true(strncmp(after, before, 33) == 0);
    check_has(after + 33, name);
    check_str(machine_fingerprint(b->machines, name), print);
    /* The journal tells of the boot before, under the machine-id of now. */
    journal = OUTPUT(device, "journalctl", "--list-boots", "--quiet", "--no-pager");
    check_has(journal, "-1 ");
}

SLOW_TEST(restored_machines_are_two)
{
    const char *cache, *dir = check_tmpdir();
    CLEANUP_FREE char *image = NULL, *one = NULL, *two = NULL;
    const struct device_host *a, *c;
    struct bench b = { 0 };

    check_timeout(400);
    image = device_image();
    cache = warm_cache();
    bench_up_with(&b, dir, "rigwarm", cache);
    a = restored(&b, image, "edge-1");
    c = restored(&b, image, "edge-2");
    one = identity(a);
    two = identity(c);
    check_all_differ(one, two);
    check_true(!str_eq(machine_fingerprint(b.machines, "edge-1"),
                       machine_fingerprint(b.machines, "edge-2")));
    check_clock(a);
    check_clock(c);
    check_kept_over_a_power_cut(&b, "edge-1", one);
    check_int(processes_with("WARM"), 0);
    bench_down(&b);
}

static void damage(const char *path, const char *how)
{
    if (str_eq(how, "missing")) {
        need_true(unlink(path) == 0);
        return;
    }
    CLEANUP_FREE char *data = NULL;
    size_t len = 0;
    char *at;

    need_ok(file_read(path, 4 << 20, &data, &len, NULL), (struct err *)NULL);
    at = str_eq(how, "flipped") ? data + len / 2 : strstr(data, "nonce\":\"") + 8;
    *at = *at == 'a' ? 'b' : 'a';
    need_ok(file_write(path, data, len, 0600, NULL), (struct err *)NULL);
}

SLOW_TEST(a_snapshot_that_fails_its_check_is_made_again)
{
    static const struct {
        const char *file, *how, *noted;
    } cases[] = {
        { "state", "flipped", "was damaged and is made again: state has other bytes" },
        { "ram", "missing", "was damaged and is made again: ram: No such file" },
        /* What is only known once it runs: memory and disk are not those that meta.json tells of. */
        { "meta.json", "another nonce", "edge-1 fails its check" },
    };
    CLEANUP_FREE char *image = NULL;
    const char *cache;
    struct bench b = { 0 };

    check_timeout(600);
    image = device_image();
    cache = warm_cache();
    bench_up_with(&b, check_tmpdir(), "rigwarm", cache);
    restored(&b, image, "edge-1");
    bench_down(&b);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *path = snapshot_file(cache, cases[i].file), *name = NULL;

        check_case("%s %s", cases[i].file, cases[i].how);
        damage(path, cases[i].how);
        b = (struct bench){ 0 };
        bench_up_with(&b, check_tmpdir(), "rigwarm", cache);
        name = OUTPUT(restored(&b, image, "edge-1"), "hostname");
        check_str(name, "edge-1\n");
        check_true(noted(&b, cases[i].noted));
        check_true(noted(&b, "booting one, this once"));
        check_true(!noted(&b, "is booted"));
        bench_down(&b);
    }
}

CHECK_MAIN()
