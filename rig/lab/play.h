/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What tests of machines share: a bench of machines on a private libvirtd, and commands in them. A boot
 * under emulation takes long, so what needs one runs with FLEETRIG_SLOW_TESTS=1 only.
 */

#include <dirent.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/artefact.h"
#include "rig/lab/machines.h"
#include "rig/lab/remote.h"

#define BOOT_MS 120000

#define SLOW_TEST(id)                                                                              \
    static void slow_##id(void);                                                                   \
    TEST(id)                                                                                       \
    {                                                                                              \
        if (!getenv("FLEETRIG_SLOW_TESTS"))                                                        \
            check_skip("boots machines: set FLEETRIG_SLOW_TESTS=1");                               \
        slow_##id();                                                                               \
    }                                                                                              \
    static void slow_##id(void)

struct bench {
    struct supervisor *supervisor;
    struct machines *machines;
    char *public_key;
    char **notes;
};

__attribute__((unused)) static char *cache_dir(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    return xdg ? xasprintf("%s/fleetrig", xdg) : xasprintf("%s/.cache/fleetrig", home);
}

__attribute__((unused)) static void note(const char *line, void *userdata)
{
    struct bench *b = userdata;

    printf("# %s\n", line);
    fflush(stdout);
    strv_add(&b->notes, line);
}

/* `warm`: a cache for snapshots; NULL: machines are booted. */
__attribute__((unused)) static void bench_up_with(struct bench *b, const char *dir,
                                                  const char *prefix, const char *warm)
{
    CLEANUP_FREE char *cache = cache_dir(), *key = xasprintf("%s/key", dir);
    CLEANUP_ERR struct err *err = NULL;
    struct machines_config config = { .dir = dir,
                                      .cache_dir = warm ? warm : cache,
                                      .prefix = prefix,
                                      .uri = "private",
                                      .ssh_key = key,
                                      .accel = "tcg",
                                      .cold = !warm,
                                      .note = note,
                                      .userdata = b };

    need_ok(supervisor_new(dir, &b->supervisor, &err), err);
    need_ok(remote_keygen(key, &b->public_key, &err), err);
    need_ok(machines_new(b->supervisor, &config, &b->machines, &err), err);
}

__attribute__((unused)) static void bench_up(struct bench *b, const char *dir, const char *prefix)
{
    bench_up_with(b, dir, prefix, NULL);
}

__attribute__((unused)) static void bench_down(struct bench *b)
{
    strv_free(b->notes);
    machines_free(b->machines);
    supervisor_free(b->supervisor);
    free(b->public_key);
}

__attribute__((unused)) static char *device_image(void)
{
    struct artefact item = { .recipe = "device", .argument = "amd64" };
    CLEANUP_ERR struct err *err = NULL;

    need_ok(artefacts_ensure("images", &item, 1, NULL, NULL, NULL, &err), err);
    return item.dir;
}

__attribute__((unused)) static struct machine_spec spec_of(const struct bench *b, const char *image)
{
    return (struct machine_spec){ .name = "edge-1",
                                  .arch = "x86_64",
                                  .image = image,
                                  .ssh_key = b->public_key,
                                  .cpus = 2,
                                  .memory_mb = 1024,
                                  .disk_gb = 8 };
}

/* How many processes' command lines contain `text`. */
__attribute__((unused)) static int processes_with(const char *text)
{
    DIR *proc = opendir("/proc");
    struct dirent *d;
    int n = 0;

    while ((d = readdir(proc))) {
        CLEANUP_FREE char *path = xasprintf("/proc/%s/cmdline", d->d_name);
        CLEANUP_FCLOSE FILE *f =
                d->d_name[0] > '0' && d->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        char line[16384];
        size_t len = f ? fread(line, 1, sizeof(line), f) : 0;

        if (len > 0 && memmem(line, len, text, strlen(text)))
            n++;
    }
    closedir(proc);
    return n;
}

__attribute__((unused)) static char *output(const struct device_host *device,
                                            const char *const *argv)
{
    CLEANUP_ERR struct err *err = NULL;
    char *out = NULL;
    int status = -1;

    check_ok(device->run(device->impl, argv, 60000, &status, &out, &err), err);
    check_int(status, 0);
    return out ? out : xstrdup("");
}
#define OUTPUT(device, ...) output(device, (const char *const[]){ __VA_ARGS__, NULL })

__attribute__((unused)) static void tell(const char *what, int64_t since)
{
    printf("# %s: %.1f s\n", what, (double)(clock_mono_ms() - since) / 1000);
    fflush(stdout);
}
