/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/kvm_probe.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define BOOT_MS 20000
#define SLICE_MS 200
#define CONSOLE_MAX (1 << 20)
#define MARK "Attempted to kill init" /* what the kernel says when its first process ended */

static char *emulator(void)
{
    struct utsname u;

    uname(&u);
    return xasprintf("qemu-system-%s", u.machine);
}

static void add_kernel(crypto_hash_sha256_state *state, const char *path)
{
    CLEANUP_FREE char *data = NULL;
    size_t len = 0;

    if (file_read(path, 256 << 20, &data, &len, NULL) == 0)
        crypto_hash_sha256_update(state, (unsigned char *)data, len);
}

static void add_text(crypto_hash_sha256_state *state, const char *text)
{
    crypto_hash_sha256_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static char *cpu_model(void)
{
    CLEANUP_FCLOSE FILE *f = fopen("/proc/cpuinfo", "re");
    char line[512];

    while (f && fgets(line, sizeof(line), f))
        if (str_starts(line, "model name") || str_starts(line, "CPU part"))
            return xstrdup(line);
    return xstrdup("unknown");
}

/* What the answer depends on. */
static char *question(const char *qemu, const char *kernel)
{
    CLEANUP_BUF struct buf version = BUF_INIT(4096);
    CLEANUP_FREE char *cpu = cpu_model();
    crypto_hash_sha256_state state;
    unsigned char raw[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(raw) + 1];
    struct utsname u;

    uname(&u);
    proc_run(ARGV(qemu, "--version"), NULL, 10000, &version, NULL, NULL);
    crypto_hash_sha256_init(&state);
    add_text(&state, u.release);
    add_text(&state, cpu);
    add_text(&state, buf_str(&version));
    add_kernel(&state, kernel);
    crypto_hash_sha256_final(&state, raw);
    sodium_bin2hex(hex, sizeof(hex), raw, sizeof(raw));
    hex[16] = '\0';
    return xstrdup(hex);
}

static bool said(const char *console, const char *mark)
{
    CLEANUP_FREE char *text = NULL;

    return file_read(console, CONSOLE_MAX, &text, NULL, NULL) == 0 && strstr(text, mark);
}

/* Boots it. `console` is where its serial port goes. */
static int boot(const char *qemu, const char *kernel, const char *initrd, const char *console,
                int (*interrupted)(void *userdata, struct err **err), void *userdata, bool *ret,
                char **ret_why, struct err **err)
{
    CLEANUP_FREE char *serial = xasprintf("file:%s", console);
    CLEANUP_ERR struct err *failure = NULL;
    int64_t start = clock_mono_ms(), deadline = start + BOOT_MS;
    struct proc qemu_process = { .pidfd = -1 };
    bool works;
    struct proc_spec spec = {
        .argv = ARGV(qemu, "-accel", "kvm", "-cpu", "host", "-machine",
                     strstr(qemu, "x86_64") ? "q35" : "virt", "-m", "256", "-nodefaults",
                     "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel,
                     "-initrd", initrd, "-append",
                     strstr(qemu, "x86_64") ? "console=ttyS0 panic=-1" : "console=ttyAMA0 panic=-1",
                     "-serial", serial),
        .own_group = true
    };
    int r = 0;

    if (proc_spawn(&spec, &qemu_process, &failure) < 0) {
        *ret = false;
        *ret_why = xstrdup(err_text(failure));
        return 0;
    }
    while (!(works = said(console, MARK)) && clock_left_ms(deadline) > 0 &&
           (r = interrupted(userdata, err)) == 0 &&
           proc_wait(&qemu_process, SLICE_MS, NULL) == -ETIMEDOUT)
        ;
    works = works || said(console, MARK);
    proc_stop(&qemu_process, true, 1000);
    if (r < 0)
        return r;
    *ret = works;
    *ret_why = works ? xasprintf("a kernel boots under KVM in %.1f s",
                                 (double)(clock_mono_ms() - start) / 1000)
                     : xstrdup("/dev/kvm is there, but a kernel does not boot under it");
    return 0;
}

static int probe(const char *image, const char *cache_dir, const char *qemu,
                 int (*interrupted)(void *userdata, struct err **err), void *userdata, bool *ret,
                 char **ret_why, struct err **err)
{
    CLEANUP_FREE char *kernel = xasprintf("%s/vmlinuz", image);
    CLEANUP_FREE char *initrd = xasprintf("%s/initrd.img", image);
    CLEANUP_FREE char *key = question(qemu, kernel);
    CLEANUP_FREE char *answer = xasprintf("%s/kvm-%s", cache_dir, key);
    CLEANUP_FREE char *console = xasprintf("%s.console.%d", answer, (int)getpid());
    CLEANUP_FREE char *known = NULL;
    int r;

    if (file_read(answer, 4096, &known, NULL, NULL) == 0 &&
        (str_starts(known, "yes ") || str_starts(known, "no "))) {
        *ret = known[0] == 'y';
        *ret_why = xstrdup(strchr(known, ' ') + 1);
        return 0;
    }
    r = boot(qemu, kernel, initrd, console, interrupted, userdata, ret, ret_why, err);
    unlink(console);
    if (r < 0)
        return r;
    free(known);
    known = xasprintf("%s %s", *ret ? "yes" : "no", *ret_why);
    /* Without the note the question is asked again next time. */
    if (dir_make(cache_dir, 0755, NULL) == 0)
        file_write(answer, known, strlen(known), 0644, NULL);
    return 0;
}

int kvm_works(const char *image, const char *cache_dir,
              int (*interrupted)(void *userdata, struct err **err), void *userdata, bool *ret,
              char **ret_why, struct err **err)
{
    CLEANUP_FREE char *qemu = emulator();

    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        *ret_why = xstrdup(errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm may not be used");
        *ret = false;
        return 0;
    }
    return probe(image, cache_dir, qemu, interrupted, userdata, ret, ret_why, err);
}
