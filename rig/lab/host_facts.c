/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/host_facts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/lab/supervisor.h"
#include "rig/lab/virt.h"

#define ASK_MS 20000
#define ANSWER_MAX (64 * 1024)
#define MIB (INT64_C(1) << 20)
#define DISK_MIN_MB 2048 /* the disk of a device, and logs */
#define DISK_ALL_MB 6144 /* what is built once, too */
#define QEMU_MIN 8

const char *host_state_text(enum host_state state)
{
    static const char *const texts[] = { "good", "less", "missing" };

    return texts[state];
}

struct facts {
    const struct host_question *q;
    struct host_fact *items;
    size_t n, cap;
};

static struct host_fact *add(struct facts *f, const char *name, enum host_state state, char *found)
{
    f->items = grow(f->items, f->n, &f->cap, sizeof(*f->items));
    f->items[f->n] = (struct host_fact){ .name = name, .state = state, .found = found };
    return &f->items[f->n++];
}

static void __attribute__((format(printf, 2, 3))) advise(struct host_fact *fact, const char *fmt,
                                                         ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&fact->advice, fmt, ap) < 0)
        abort();
    va_end(ap);
}

/* The first line that a program says, or why it does not. */
static bool ask(char *const *argv, char **ret)
{
    CLEANUP_BUF struct buf out = BUF_INIT(ANSWER_MAX);
    CLEANUP_ERR struct err *err = NULL;
    bool good = proc_run(argv, NULL, ASK_MS, &out, NULL, &err) >= 0;
    const char *text = good ? buf_str(&out) : err_text(err);

    *ret = xstrndup(text, strcspn(text, "\n"));
    return good;
}

/* --- The machine ----------------------------------------------------------------------------- */

static void add_processors(struct facts *f)
{
    size_t n = host_cores();
    struct host_fact *fact =
            add(f, "processors", n > 1 ? HOST_GOOD : HOST_LESS, xasprintf("%zu", n));

    if (n < 2)
        advise(fact, "two or more let devices and servers run side by side");
}

static void add_memory(struct facts *f)
{
    int64_t have = host_memory_mb();
    bool enough = have >= f->q->needed_mb;
    struct host_fact *fact = add(f, "memory", enough ? HOST_GOOD : HOST_MISSING,
                                 xasprintf("%lld MiB available", (long long)have));

    if (!enough)
        advise(fact,
               "a lab of one device with %lld MiB takes %lld MiB: end something else, or set "
               "memory_mb in rig.yml",
               (long long)f->q->memory_mb, (long long)f->q->needed_mb);
}

/* The nearest folder above that is there. The caller frees it. */
static char *existing(const char *path)
{
    CLEANUP_FREE char *p = xstrdup(path);
    char *slash;

    while (!file_exists(p) && (slash = strrchr(p, '/')) && slash != p)
        *slash = '\0';
    return xstrdup(file_exists(p) ? p : "/");
}

static void add_folder(struct facts *f, const char *name, const char *path, int64_t need_mb)
{
    CLEANUP_FREE char *folder = existing(path);
    struct statvfs fs;
    struct host_fact *fact;
    int64_t free_mb;

    if (access(folder, W_OK | X_OK) < 0 || statvfs(folder, &fs) < 0) {
        fact = add(f, name, HOST_MISSING, xasprintf("%s: %s", folder, strerror(errno)));
        advise(fact, "make it writable for you, or set XDG_CACHE_HOME (runs alone: --report-dir)");
        return;
    }
    free_mb = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize / MIB;
    fact = add(f, name,
               free_mb >= need_mb       ? HOST_GOOD
               : free_mb >= DISK_MIN_MB ? HOST_LESS
                                        : HOST_MISSING,
               xasprintf("%lld MiB free in %s", (long long)free_mb, path));
    if (free_mb < need_mb)
        advise(fact, "free %lld MiB there, or set XDG_CACHE_HOME to a folder with more room",
               (long long)(need_mb - free_mb));
}

static void add_ports(struct facts *f)
{
    CLEANUP_ERR struct err *err = NULL;
    uint16_t port = 0;
    bool good = port_free(&port, &err) >= 0;
    struct host_fact *fact = add(f, "ports", good ? HOST_GOOD : HOST_MISSING,
                                 xstrdup(good ? "free on 127.0.0.1" : err_text(err)));

    if (!good)
        advise(fact, "the loopback interface must be up: ip link set lo up");
}

/* A clock that is behind our own program is wrong; whether anybody keeps it right is the kernel's to
 * say. */
static void add_clock(struct facts *f)
{
    CLEANUP_FREE char *self = xasprintf("%s/rig", f->q->programs);
    struct timex t = { 0 };
    char text[CLOCK_RFC3339_MAX];
    struct host_fact *fact;
    struct stat st;
    bool behind = stat(self, &st) == 0 && clock_wall_ms() / 1000 < st.st_mtime;
    bool kept = adjtimex(&t) != TIME_ERROR;

    clock_rfc3339(clock_wall_ms(), text);
    fact = add(f, "clock", behind ? HOST_MISSING : HOST_GOOD,
               xasprintf("%s%s", text, kept ? ", synchronised" : ", nobody synchronises it"));
    if (behind)
        advise(fact, "it is behind the time at which rig was built: set it");
}

/* --- What runs machines ---------------------------------------------------------------------- */

/* "QEMU emulator version 10.0.2 (Debian ...)" */
static long major_of(const char *text)
{
    const char *at = strstr(text, "version ");

    return at ? strtol(at + strlen("version "), NULL, 10) : 0;
}

static void add_qemu(struct facts *f)
{
    CLEANUP_FREE char *said = NULL, *accels = NULL;
    bool there = ask(ARGV("qemu-system-x86_64", "--version"), &said);
    bool good = there && major_of(said) >= QEMU_MIN;
    struct host_fact *fact = add(f, "QEMU", good ? HOST_GOOD : HOST_MISSING, xstrdup(said));
    CLEANUP_BUF struct buf list = BUF_INIT(ANSWER_MAX);

    if (!good)
        advise(fact,
               "version %d or newer is needed, older emulation panics the device kernel: "
               "apt-get install qemu-system-x86 qemu-utils, or run rig in the devbox",
               QEMU_MIN);
    if (!there)
        return;
    proc_run(ARGV("qemu-system-x86_64", "-accel", "help"), NULL, ASK_MS, &list, NULL, NULL);
    good = strstr(buf_str(&list), "tcg") != NULL;
    fact = add(f, "TCG", good ? HOST_GOOD : HOST_MISSING,
               xstrdup(good ? "any host can emulate machines" : "QEMU was built without it"));
    if (!good)
        advise(fact, "use a QEMU with TCG, as distributions build it");
}

static void add_programs(struct facts *f)
{
    static const char *const needed[] = { "qemu-img", "etcd", "ssh", NULL };
    CLEANUP_STRV char **missing = NULL;
    CLEANUP_FREE char *all = NULL;
    struct host_fact *fact;

    for (const char *const *name = needed; *name; name++)
        if (!proc_find(*name))
            strv_add(&missing, *name);
    if (!missing) {
        add(f, "programs", HOST_GOOD, xstrdup("qemu-img, etcd, ssh"));
        return;
    }
    all = strv_join(missing, ", ");
    fact = add(f, "programs", HOST_MISSING, xasprintf("not found in PATH: %s", all));
    advise(fact, "apt-get install qemu-utils etcd-server openssh-client, or run rig in the devbox");
}

static void add_libvirt(struct facts *f)
{
    CLEANUP_FREE char *why = NULL, *folder = existing(f->q->runs_dir);
    CLEANUP_ERR struct err *err = NULL;
    struct virt virt = { 0 };
    struct host_fact *fact;

    if (virt_choose(f->q->libvirt_uri, folder, f->q->places.cache, &virt, &why, &err) < 0) {
        fact = add(f, "libvirt", HOST_MISSING, xstrdup(err_text(err)));
        advise(fact, "start a daemon that you may use (group libvirt), run rig as root or in the "
                     "devbox, or choose with --libvirt");
        return;
    }
    if (virt.private && (geteuid() != 0 || !proc_find("libvirtd"))) {
        fact = add(f, "libvirt", HOST_MISSING,
                   xstrdup(geteuid() != 0 ? "a private daemon needs root"
                                          : "libvirtd is not found in PATH"));
        advise(fact, "apt-get install libvirt-daemon libvirt-daemon-driver-qemu, or run rig in the "
                     "devbox");
    } else {
        add(f, "libvirt", HOST_GOOD,
            xasprintf("%s: %s", virt.private ? "a private daemon" : virt.uri, why));
    }
    virt_close(NULL, &virt);
}

/* --- What some scenarios need ---------------------------------------------------------------- */

static const struct {
    const char *name, *need, *advice;
} needs[] = {
    { "KVM", "kvm",
      "machines are emulated, several times slower: load kvm_intel or kvm_amd, join the group kvm, or "
      "switch nested virtualisation on" },
    { "aarch64", "aarch64",
      "for scenarios with aarch64 devices: apt-get install qemu-system-arm qemu-user-static arch-test" },
    { "podman", "podman", "for scenarios that need it: apt-get install podman" },
    { "k3d", "k3d", "for scenarios that need a cluster: install docker and k3d" },
};

static void add_needs(struct facts *f)
{
    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        char *why = NULL;
        bool has = host_has(&f->q->places, needs[i].need, &why);
        struct host_fact *fact = add(f, needs[i].name, has ? HOST_GOOD : HOST_LESS, why);

        if (!has)
            advise(fact, "%s", needs[i].advice);
    }
}

static void add_fuse(struct facts *f)
{
    bool good = access("/dev/fuse", R_OK | W_OK) == 0;
    struct host_fact *fact =
            add(f, "FUSE", good ? HOST_GOOD : HOST_LESS,
                good ? xstrdup("/dev/fuse") : xasprintf("/dev/fuse: %s", strerror(errno)));

    if (!good)
        advise(fact, "for servers whose disks lose what was not synced: modprobe fuse");
}

static void add_namespaces(struct facts *f)
{
    CLEANUP_FREE char *said = NULL;
    bool good = geteuid() == 0 || ask(ARGV("unshare", "--user", "--map-root-user", "true"), &said);
    struct host_fact *fact = add(f, "user namespaces", good ? HOST_GOOD : HOST_LESS,
                                 xstrdup(geteuid() == 0 ? "not needed by root"
                                         : good         ? "may be made"
                                                        : said));

    if (!good)
        advise(fact,
               "for the devbox as an ordinary user: sysctl kernel.unprivileged_userns_clone=1");
}

static void add_artefacts(struct facts *f)
{
    static const char *const kinds[] = { "device", "apiserver", "nats", "hello" };
    CLEANUP_STRV char **missing = NULL;
    CLEANUP_FREE char *all = NULL;
    struct host_fact *fact;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP_FREE char *recipe = xasprintf("%s/images/%s.sh", f->q->places.root, kinds[i]);
        CLEANUP_FREE char *said = NULL;

        if (!ask(ARGV(recipe, "--cached"), &said))
            strv_add(&missing, kinds[i]);
    }
    all = strv_join(missing, ", ");
    fact = add(f, "artefacts", missing ? HOST_LESS : HOST_GOOD,
               missing ? xasprintf("not built yet: %s", all) : xstrdup("all are built"));
    if (missing)
        advise(fact, "the first run builds them, in a few minutes; so does make images");
}

/* --- All of them ----------------------------------------------------------------------------- */

void host_facts(const struct host_question *q, struct host_fact **ret, size_t *ret_n)
{
    static void (*const adders[])(struct facts *f) = {
        add_processors, add_memory, add_clock,      add_ports, add_qemu,      add_programs,
        add_libvirt,    add_needs,  add_namespaces, add_fuse,  add_artefacts,
    };
    struct facts f = { .q = q };

    add_folder(&f, "cache", q->places.cache, DISK_ALL_MB);
    add_folder(&f, "runs", q->runs_dir, DISK_MIN_MB);
    for (size_t i = 0; i < ARRAY_LEN(adders); i++)
        adders[i](&f);
    *ret = f.items;
    *ret_n = f.n;
}

void host_facts_done(struct host_fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(facts[i].found);
        free(facts[i].advice);
    }
    free(facts);
}
