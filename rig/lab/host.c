/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/host.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/lab/kvm_probe.h"
#include "rig/lab/lossy.h"

#define PROC_MAX (64 * 1024)
#define MIB (INT64_C(1) << 20)

/* --- Memory and processors ------------------------------------------------------------------- */

/* The number at the start of `text`; -1 when there is none ("max"). */
static int64_t number(const char *text)
{
    char *end = NULL;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    return end != text && errno == 0 && value >= 0 ? value : -1;
}

static int64_t number_in(const char *folder, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name), *text = NULL;

    return file_read(path, PROC_MAX, &text, NULL, NULL) < 0 ? -1 : number(text);
}

static int64_t available_mb(void)
{
    CLEANUP_FREE char *text = NULL;
    const char *line;

    if (file_read("/proc/meminfo", PROC_MAX, &text, NULL, NULL) < 0 ||
        !(line = strstr(text, "MemAvailable:")))
        return INT64_MAX;
    return number(line + strlen("MemAvailable:")) / 1024;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* File pages that go when they are needed, bytes, out of memory.stat. */
static int64_t idle_pages(const char *folder)
{
    CLEANUP_FREE char *path = xasprintf("%s/memory.stat", folder), *text = NULL;
    const char *line = NULL;

    if (file_read(path, PROC_MAX, &text, NULL, NULL) >= 0)
        line = strstr(text, "inactive_file ");
    return line ? number(line + strlen("inactive_file ")) : 0;
}

/* What is left in a container with a limit, cgroup v2 or v1; others see none at these places. */
static int64_t left_in_group_mb(void)
{
    static const struct {
        const char *folder, *limit, *used;
    } groups[] = {
        { "/sys/fs/cgroup", "memory.max", "memory.current" },
        { "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes" },
    };
    int64_t left = INT64_MAX;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        int64_t limit = number_in(groups[i].folder, groups[i].limit);
        int64_t used = number_in(groups[i].folder, groups[i].used);

        if (limit < 0 || used < 0)
            continue;
        used -= idle_pages(groups[i].folder);
        left = least(left, limit > used ? (limit - used) / MIB : 0);
    }
    return left;
}

int64_t host_memory_mb(void)
{
    const char *said = getenv("FLEETRIG_MEMORY_MB");
    int64_t most = said ? number(said) : -1;

    return least(least(available_mb(), left_in_group_mb()), most >= 0 ? most : INT64_MAX);
}

size_t host_cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

/* --- Needs ----------------------------------------------------------------------------------- */

#define ASK_MS 20000
#define ANSWER_MAX (64 * 1024)

/* The first line that a program says; false when it fails, with why. */
static bool ask(char *const *argv, char **ret)
{
    CLEANUP_BUF struct buf out = BUF_INIT(ANSWER_MAX);
    CLEANUP_ERR struct err *err = NULL;

    if (proc_run(argv, NULL, ASK_MS, &out, NULL, &err) < 0) {
        *ret = xstrndup(err_text(err), strcspn(err_text(err), "\n"));
        return false;
    }
    *ret = xstrndup(buf_str(&out), strcspn(buf_str(&out), "\n"));
    return true;
}

/* The folder of the device image, if it was built. */
static char *image_of(const struct host_places *places, const char *arch)
{
    CLEANUP_FREE char *recipe = xasprintf("%s/images/device.sh", places->root);
    char *folder = NULL;

    if (ask(ARGV(recipe, "--cached", arch), &folder))
        return folder;
    free(folder);
    return NULL;
}

static int never(void *userdata, struct err **err)
{
    (void)userdata;
    (void)err;
    return 0;
}

static bool has_kvm(const struct host_places *places, char **ret_why)
{
    struct utsname u;
    CLEANUP_FREE char *image = NULL;
    bool works = false;

    uname(&u);
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        *ret_why = xstrdup(errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm may not be used");
        return false;
    }
    image = image_of(places, str_eq(u.machine, "aarch64") ? "arm64" : "amd64");
    if (!image) {
        *ret_why = xstrdup("/dev/kvm is there; whether a kernel boots under it is seen once the "
                           "device image is built");
        return true;
    }
    kvm_works(image, places->cache, never, NULL, &works, ret_why, NULL);
    return works;
}

/* An image that is not in the cache is built, by running its programs under emulation. */
static bool has_aarch64(const struct host_places *places, char **ret_why)
{
    CLEANUP_FREE char *emulator = NULL, *image = NULL, *runs = NULL;

    if (!ask(ARGV("qemu-system-aarch64", "--version"), &emulator)) {
        *ret_why = steal_ptr(emulator);
        return false;
    }
    image = image_of(places, "arm64");
    if (!image && !ask(ARGV("arch-test", "arm64"), &runs)) {
        *ret_why = xstrdup("its device image is not built yet, and this host cannot build it: "
                           "that takes arch-test, and binfmt_misc with qemu-user-static");
        return false;
    }
    *ret_why = steal_ptr(emulator);
    return true;
}

static bool has_podman(const struct host_places *places, char **ret_why)
{
    CLEANUP_FREE char *version = NULL, *runtime = NULL;

    (void)places;
    if (!ask(ARGV("podman", "--version"), &version)) {
        *ret_why = steal_ptr(version);
        return false;
    }
    if (!ask(ARGV("podman", "info", "--format", "{{.Host.OCIRuntime.Name}}"), &runtime)) {
        *ret_why = steal_ptr(runtime);
        return false;
    }
    *ret_why = xasprintf("%s with %s", version, runtime);
    return true;
}

static bool has_k3d(const struct host_places *places, char **ret_why)
{
    CLEANUP_FREE char *version = NULL, *docker = NULL;

    (void)places;
    if (!ask(ARGV("k3d", "version"), &version)) {
        *ret_why = steal_ptr(version);
        return false;
    }
    if (!ask(ARGV("docker", "info", "--format", "{{.ServerVersion}}"), &docker)) {
        *ret_why = steal_ptr(docker);
        return false;
    }
    *ret_why = xasprintf("%s, docker %s", version, docker);
    return true;
}

static bool has_root(const struct host_places *places, char **ret_why)
{
    (void)places;
    *ret_why = xasprintf("runs as user %d", (int)geteuid());
    return geteuid() == 0;
}

/* For the disk of a server that can lose what was not synced. */
static bool has_fuse(const struct host_places *places, char **ret_why)
{
    CLEANUP_ERR struct err *err = NULL;
    bool good = lossy_possible(&err) >= 0;

    (void)places;
    *ret_why = xstrdup(good ? "/dev/fuse" : err_text(err));
    return good;
}

static const struct {
    const char *need;
    bool (*has)(const struct host_places *places, char **ret_why);
} needs[] = {
    { "kvm", has_kvm }, { "aarch64", has_aarch64 }, { "podman", has_podman },
    { "k3d", has_k3d }, { "root", has_root },       { "fuse", has_fuse },
};

bool host_has(const struct host_places *places, const char *need, char **ret_why)
{
    for (size_t i = 0; i < ARRAY_LEN(needs); i++)
        if (str_eq(needs[i].need, need))
            return needs[i].has(places, ret_why);
    *ret_why = xasprintf("nobody knows what %s is", need);
    return false;
}
