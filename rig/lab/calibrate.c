/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: the guest is written out below, instruction by instruction. It adds to a word of
 * memory a hundred million times and switches itself off, so the time is that of an emulated (or a real) processor
 * with its memory, and of starting the emulator, as a boot is. The emulator reads it through a
 * descriptor of ours: no file is made.
 *
 * x86_64 starts at the reset vector, 16 bytes below the end of a 64 KiB ROM, in real mode, and ends by
 * QEMU's isa-debug-exit. aarch64 ("virt") starts at address 0, where -bios puts it, and ends by PSCI's
 * SYSTEM_OFF (Arm DEN 0022), whose conduit there is HVC.
 */

#include "rig/lab/calibrate.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define REFERENCE_MS 450 /* TCG on an idle core of a 2024 server, starting QEMU included */
#define CROWDED_MAX                                                                                \
    3.0 /* what others take of the processors at this moment says that much at most */
#define SLICE_MS 100
#define ROM_BYTES 65536
#define X86_DONE 33 /* isa-debug-exit: (0x10 << 1) | 1, which no other end of QEMU gives */

/* At 0xff00 of the ROM. */
static const unsigned char x86_code[] = {
    0x66, 0xb9, 0x00, 0x00, 0x00, 0x06, /*       mov  ecx, 0x06000000 */
    0x66, 0xff, 0x06, 0x00, 0x10,       /* loop: inc  dword [0x1000] */
    0x66, 0x49,                         /*       dec  ecx */
    0x75, 0xf7,                         /*       jnz  loop */
    0xba, 0xf4, 0x00,                   /*       mov  dx, 0xf4 */
    0xb0, 0x10,                         /*       mov  al, 0x10 */
    0xee,                               /*       out  dx, al */
    0xf4,                               /*       hlt */
};
static const unsigned char x86_reset[] = { 0xe9, 0x0d, 0xff }; /* jmp 0xff00, at 0xfff0 */

static const uint32_t arm_code[] = {
    0xd2a0c000, /*       movz x0, #0x600, lsl #16 */
    0xd2a80002, /*       movz x2, #0x4000, lsl #16: where memory is */
    0xb9400043, /* loop: ldr  w3, [x2] */
    0x11000463, /*       add  w3, w3, #1 */
    0xb9000043, /*       str  w3, [x2] */
    0xf1000400, /*       subs x0, x0, #1 */
    0x54ffff81, /*       b.ne loop */
    0x52b08000, /*       movz w0, #0x8400, lsl #16 */
    0x72800100, /*       movk w0, #0x0008: SYSTEM_OFF */
    0xd4000002, /*       hvc  #0 */
    0x14000000, /*       b    . */
};

/* A descriptor of the ROM, or negative. */
static int make_rom(bool x86)
{
    CLEANUP_CLOSE int fd = memfd_create("calibrate", MFD_CLOEXEC);
    CLEANUP_FREE unsigned char *rom = xcalloc(1, ROM_BYTES);

    if (x86) {
        memcpy(rom + 0xff00, x86_code, sizeof(x86_code));
        memcpy(rom + 0xfff0, x86_reset, sizeof(x86_reset));
    } else
        memcpy(rom, arm_code, sizeof(arm_code));
    if (fd < 0 || write(fd, rom, ROM_BYTES) != ROM_BYTES)
        return -1;
    return steal_fd(&fd);
}

static char **command_line(const char *arch, bool kvm, int rom)
{
    bool x86 = str_eq(arch, "x86_64");
    char **argv = NULL;

    strv_addf(&argv, "qemu-system-%s", arch);
    for (const char *const *word =
                 (const char *const[]){ "-nodefaults", "-no-user-config", "-display", "none",
                                        "-no-reboot", "-m", "64", "-accel", kvm ? "kvm" : "tcg",
                                        "-cpu", kvm ? "host" : "max", NULL };
         *word; word++)
        strv_add(&argv, *word);
    strv_add(&argv, "-machine");
    strv_add(&argv, x86 ? "pc" : "virt");
    if (x86) {
        strv_add(&argv, "-device");
        strv_add(&argv, "isa-debug-exit,iobase=0xf4,iosize=0x04");
    }
    strv_add(&argv, "-bios");
    strv_addf(&argv, "/proc/%d/fd/%d", (int)getpid(), rom);
    return argv;
}

static int give_up(char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = xstrdup(why);
    return 0;
}

/* Waits for the guest's end, as long as it would count for anything. *ret_ms: how long it took. */
static int count(struct proc *p, int (*interrupted)(void *userdata, struct err **err),
                 void *userdata, int64_t *ret_ms, struct err **err)
{
    int64_t start = clock_mono_ms(), most = (int64_t)(REFERENCE_MS * CALIBRATE_MAX);
    int r;

    while (proc_wait(p, SLICE_MS, NULL) == -ETIMEDOUT && clock_mono_ms() - start < most)
        if (interrupted && (r = interrupted(userdata, err)) < 0) {
            proc_stop(p, true, 0);
            return r;
        }
    *ret_ms = clock_mono_ms() - start;
    return 0;
}

int calibrate(const char *arch, const char *accel,
              int (*interrupted)(void *userdata, struct err **err), void *userdata,
              double *ret_factor, char **ret_why, struct err **err)
{
    bool x86 = str_eq(arch, "x86_64");
    CLEANUP_CLOSE int rom = make_rom(x86);
    CLEANUP_STRV char **argv = command_line(arch, str_eq(accel, "kvm"), rom);
    struct proc_spec spec = { .argv = argv, .own_group = true };
    CLEANUP_ERR struct err *failure = NULL;
    struct proc p = { .pidfd = -1 };
    int64_t ms = 0;
    double factor;
    int r;

    *ret_factor = 1;
    if (rom < 0)
        return give_up(ret_why, "there is no memory for a guest");
    if (proc_spawn(&spec, &p, &failure) < 0)
        return give_up(ret_why, err_text(failure));
    if ((r = count(&p, interrupted, userdata, &ms, err)) < 0)
        return r;
    if (p.pid > 0)
        proc_stop(&p, true, 0); /* slower than we care to know */
    else if (p.status != (x86 ? X86_DONE << 8 : 0)) {
        CLEANUP_FREE char *status = proc_status_text(p.status);
        CLEANUP_FREE char *why = xasprintf("%s %s", argv[0], status);

        return give_up(ret_why, why);
    }
    factor = (double)ms / REFERENCE_MS;
    if (p.cpu_ms > 0 && factor > CROWDED_MAX * (double)p.cpu_ms / REFERENCE_MS)
        factor = CROWDED_MAX * (double)p.cpu_ms / REFERENCE_MS;
    *ret_factor = factor < 1 ? 1 : factor > CALIBRATE_MAX ? CALIBRATE_MAX : factor;
    return 0;
}

int64_t scaled_ms(int64_t ms, double factor)
{
    return factor > 1 ? (int64_t)((double)ms * factor) : ms;
}
