/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a machine is a definition in libvirt, an overlay on the image, and a table of
 * forwarded ports that only grows. The definition is written anew at each power-on, with all ports
 * that were asked for by then; a port asked for while the machine runs is added through the
 * emulator's monitor. `wanted` says whether the machine should run: one that should and does not has
 * ended by itself, and every wait for it says so.
 *
 * Identity comes from outside once, on the kernel's command line (host name and who may log in), and
 * is made by the device itself for the rest (machine-id, host key), on its overlay.
 */

#include "rig/lab/machines.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/emulator.h"
#include "rig/lab/kvm_probe.h"
#include "rig/lab/machines_internal.h"

#define OVERLAY_MIN_BYTES (1536LL << 20) /* what a run of containers writes, with room */
#define SSH_PORT 22
#define SYSTEMD_WAIT_S 90 /* for units and devices, as systemd has it by default */
#define MONITOR_MAX 256
#define CONSOLE_TAIL 2048

/* Without warning, as a power cut comes: libvirt would ask the emulator to end first, which then
 * flushes what it has, and takes its time. Where its process is not ours to kill, libvirt ends it. */
static int switch_off(struct machine *v)
{
    emulator_kill(v->domain_name, v->uuid, NULL, NULL);
    if (virDomainDestroy(v->domain) < 0 && virDomainIsActive(v->domain) != 0)
        return -EIO;
    return 0;
}

void machine_free(struct machine *v)
{
    if (!v)
        return;
    remote_free(v->remote);
    if (v->domain) {
        switch_off(v);
        if (v->wanted)
            supervisor_tell(v->all->supervisor, LAB_STOP, v->name, "taken down");
        virDomainUndefine(v->domain);
        virDomainFree(v->domain);
    }
    machine_cross_out(v);
    if (v->disk)
        unlink(v->disk);
    free(v->name);
    free(v->domain_name);
    free(v->dir);
    free(v->disk);
    free(v->console);
    free(v->pin);
    free(v->arch);
    free(v->image);
    free(v->ssh_key);
    strv_free(v->archives);
    free(v->forwards);
    free(v);
}

struct machine *machine_find(struct machines *m, const char *name)
{
    struct machine *v;

    pthread_mutex_lock(&m->lock);
    for (v = m->first; v && !str_eq(v->name, name); v = v->next)
        ;
    pthread_mutex_unlock(&m->lock);
    return v;
}

int machine_need(struct machines *m, const char *name, struct machine **ret, struct err **err)
{
    struct machine *v = machine_find(m, name);

    if (!v)
        return err_new(err, ENOENT, "there is no machine %s", name);
    *ret = v;
    return 0;
}

void machines_note(struct machines *m, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (m->note)
        m->note(line, m->userdata);
}

static int interrupted(void *userdata, struct err **err)
{
    return supervisor_interrupted(userdata, err);
}

/* --- making one ------------------------------------------------------------------------------ */

/* The name becomes a folder, a host name and part of a command line. */
static int check_name(const char *name, struct err **err)
{
    size_t len = strlen(name);

    if (len < 1 || len > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
        name[0] == '-' || name[len - 1] == '-')
        return err_new(err, EINVAL, "\"%s\" cannot be a machine's name: a-z, 0-9 and - inside",
                       name);
    return 0;
}

static bool is_native(const char *arch)
{
    struct utsname u;

    uname(&u);
    return str_eq(arch, u.machine);
}

int machines_choose_accel(struct machines *m, const char *arch, const char *image, const char **ret,
                          struct err **err)
{
    CLEANUP_FREE char *why = NULL;
    bool works = false;
    int r = 0;

    pthread_mutex_lock(&m->making);
    if (!m->accel && is_native(arch)) {
        r = kvm_works(image, m->cache_dir, interrupted, m->supervisor, &works, &why, err);
        if (r >= 0)
            m->accel = xstrdup(works ? "kvm" : "tcg");
    }
    pthread_mutex_unlock(&m->making);
    if (r >= 0 && ret)
        *ret = is_native(arch) ? m->accel : "tcg";
    return r;
}

void machines_scale(struct machines *m, double factor)
{
    m->factor = factor > 1 ? factor : 1;
}

static int check_space(const struct machine *v, struct err **err)
{
    struct statvfs fs;
    int64_t free_bytes;

    if (statvfs(v->dir, &fs) < 0)
        return err_errno(err, errno, "%s", v->dir);
    free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (free_bytes >= OVERLAY_MIN_BYTES)
        return 0;
    err_new(err, ENOSPC, "no room for the disk in %s: %lld MiB are free, a machine needs %lld MiB",
            v->dir, (long long)(free_bytes >> 20), OVERLAY_MIN_BYTES >> 20);
    err_hint(err, "free some space, or give another folder for runs");
    return -ENOSPC;
}

int machine_make_disk(const struct machine *v, const char *base, struct err **err)
{
    CLEANUP_FREE char *size = xasprintf("%dG", v->disk_gb);
    int r = check_space(v, err);

    if (r < 0)
        return r;
    r = proc_run(ARGV("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, v->disk,
                      size),
                 NULL, 30000, NULL, NULL, err);
    return r < 0 ? err_wrap(err, "making the disk %s", v->disk) : 0;
}

/* The image says what its kernel needs; who the machine is follows as systemd credentials. */
static int command_line(const struct machine *v, char **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/cmdline", v->image), *base = NULL, *key = NULL;
    int wait_s = (int)(SYSTEMD_WAIT_S * v->patience);
    size_t len = strlen(v->ssh_key);
    size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
    int r = file_read(path, 1024, &base, NULL, err);

    if (r < 0)
        return r;
    base[strcspn(base, "\n")] = '\0';
    key = xmalloc(size);
    sodium_bin2base64(key, size, (const unsigned char *)v->ssh_key, len,
                      sodium_base64_VARIANT_ORIGINAL);
    /* A kernel on an emulated processor that its host did not let run for a moment finds its timer too
     * slow and panics ("IO-APIC + timer doesn't work!"), unless it is told not to look. */
    *ret = xasprintf("%s quiet%s systemd.default_timeout_start_sec=%d "
                     "systemd.default_device_timeout_sec=%d systemd.hostname=%s "
                     "systemd.set_credential_binary=ssh.authorized_keys.root:%s",
                     base, str_eq(v->arch, "x86_64") ? " no_timer_check" : "", wait_s, wait_s,
                     v->name, key);
    return 0;
}

struct domain machine_domain(const struct machine *v)
{
    return (struct domain){ .name = v->domain_name,
                            .arch = v->arch,
                            .kvm = is_native(v->arch) && str_eq(v->all->accel, "kvm"),
                            .cpus = v->cpus,
                            .memory_mb = v->memory_mb,
                            .disk = v->disk,
                            .console = v->console,
                            .forwards = v->forwards,
                            .n_forwards = v->n_forwards };
}

int machine_define(struct machine *v, const struct domain *d, struct err **err)
{
    CLEANUP_FREE char *kernel = xasprintf("%s/vmlinuz", v->image);
    CLEANUP_FREE char *initrd = xasprintf("%s/initrd.img", v->image);
    CLEANUP_FREE char *cmdline = NULL, *xml = NULL;
    CLEANUP(virDomainFree) virDomainPtr defined = NULL, old = NULL;
    struct domain whole = *d;
    int r;

    if ((r = command_line(v, &cmdline, err)) < 0 || (r = machine_note(v, err)) < 0)
        return r;
    whole.uuid = v->uuid;
    whole.kernel = kernel;
    whole.initrd = initrd;
    whole.cmdline = cmdline;
    xml = domain_xml(&whole);
    if (!(defined = virDomainDefineXML(v->all->virt.connection, xml)))
        return virt_error(err, "defining machine %s", v->name);
    pthread_mutex_lock(&v->all->lock);
    old = v->domain;
    v->domain = steal_ptr(defined);
    pthread_mutex_unlock(&v->all->lock);
    virDomainGetUUIDString(v->domain, v->uuid);
    return 0;
}

int machine_is_on(struct machine *v, const char *how, struct err **err)
{
    v->wanted = true;
    v->ready = v->mourned = false;
    supervisor_tell(v->all->supervisor, LAB_START, v->name, "%s", how);
    return machine_started(v, err);
}

int machine_power(struct machine *v, struct err **err)
{
    struct domain d = machine_domain(v);
    int r = machine_define(v, &d, err);

    if (r < 0)
        return r;
    if (virDomainCreateWithFlags(v->domain, VIR_DOMAIN_START_AUTODESTROY) < 0) {
        r = virt_error(err, "starting machine %s", v->name);
        if (!v->all->virt.private)
            err_hint(err, "if the libvirt at %s may not read our files, use the URI \"private\"",
                     v->all->virt.uri);
        return r;
    }
    return machine_is_on(v, "power on", err);
}

/* What a dead run left under our name is destroyed and forgotten. */
static void remove_leftover(struct machines *m, const char *domain_name)
{
    virDomainPtr old = virDomainLookupByName(m->virt.connection, domain_name);

    if (!old)
        return;
    virDomainDestroy(old);
    virDomainUndefine(old);
    virDomainFree(old);
}

static int add_forward(struct machine *v, uint16_t guest, uint16_t *ret, struct err **err)
{
    uint16_t host = 0;
    int r = port_free(&host, err);

    if (r < 0)
        return r;
    v->forwards = grow(v->forwards, v->n_forwards, &v->cap_forwards, sizeof(*v->forwards));
    v->forwards[v->n_forwards++] = (struct domain_forward){ .host = host, .guest = guest };
    *ret = host;
    return 0;
}

int machine_new(struct machines *m, const struct machine_spec *spec, struct machine **ret,
                struct err **err)
{
    CLEANUP(machine_free) struct machine *v = xcalloc(1, sizeof(*v));
    CLEANUP_CLOSE int console = -1;
    uint16_t port = 0;
    int r;

    v->all = m;
    v->name = xstrdup(spec->name);
    v->domain_name = xasprintf("%s-%s", m->prefix, spec->name);
    v->dir = xasprintf("%s/machines/%s", m->dir, spec->name);
    v->console = xasprintf("%s/console.log", v->dir);
    v->pin = xasprintf("%s/hostkey", v->dir);
    v->arch = xstrdup(spec->arch);
    v->image = xstrdup(spec->image);
    v->ssh_key = xstrdup(spec->ssh_key);
    v->archives = strv_copy((char *const *)spec->image_archives);
    v->cpus = spec->cpus;
    v->memory_mb = spec->memory_mb;
    v->disk_gb = spec->disk_gb;
    v->patience = m->factor;
    remove_leftover(m, v->domain_name);
    if ((r = dir_remove(v->dir, err)) < 0 || (r = dir_make(v->dir, 0755, err)) < 0)
        return r;
    v->disk = xasprintf("%s/disk.qcow2", v->dir);
    /* Ours from the start, so that the emulator, whoever runs it, leaves it readable. */
    if ((console = open(v->console, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0)
        return err_errno(err, errno, "%s", v->console);
    if ((r = add_forward(v, SSH_PORT, &port, err)) < 0 ||
        (r = remote_new("127.0.0.1", port, m->ssh_key, v->pin, &v->remote, err)) < 0)
        return r;
    remote_set_alive(v->remote, machine_alive, v);
    *ret = steal_ptr(v);
    return 0;
}

int machine_boot(struct machine *v, struct err **err)
{
    CLEANUP_FREE char *base = xasprintf("%s/disk.qcow2", v->image);
    int r;

    v->warm = NULL;
    v->nameless = false;
    if ((r = remote_become(v->remote, v->all->ssh_key, NULL, err)) < 0 ||
        (r = machine_make_disk(v, base, err)) < 0)
        return r;
    return machine_power(v, err);
}

/* From a snapshot where that can be had. */
static int switch_on(struct machine *v, struct err **err)
{
    CLEANUP_ERR struct err *why = NULL;
    int r;

    if (v->all->cold)
        return machine_boot(v, err);
    if ((r = machine_restore(v, &why)) == 0)
        return 0;
    if (r == -ECANCELED)
        return supervisor_interrupted(v->all->supervisor, err);
    machines_note(v->all, "%s is booted: no warm machine: %s", v->name, err_text(why));
    return machine_boot(v, err);
}

/* --- watching -------------------------------------------------------------------------------- */

/* The last line of a log, "" when there is none. The caller frees it. */
static char *last_line(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_STRV char **lines = NULL;
    char tail[CONSOLE_TAIL + 1];
    struct stat st;
    ssize_t n;
    size_t count;

    if (fd < 0 || fstat(fd, &st) < 0)
        return xstrdup("");
    n = pread(fd, tail, CONSOLE_TAIL, st.st_size > CONSOLE_TAIL ? st.st_size - CONSOLE_TAIL : 0);
    if (n <= 0)
        return xstrdup("");
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)tail[i] < ' ' || tail[i] == 0x7f)
            tail[i] = tail[i] == '\r' || tail[i] == '\n' ? '\n' : '?';
    tail[n] = '\0';
    lines = strv_split(tail, "\n");
    count = strv_len(lines);
    return xstrdup(count ? lines[count - 1] : "");
}

/* 1 when it does, or need not. Any thread may ask, while another one defines the machine anew. */
static int runs(struct machine *v)
{
    CLEANUP(virDomainFree) virDomainPtr domain = NULL;

    pthread_mutex_lock(&v->all->lock);
    if (v->wanted && virDomainRef(v->domain) == 0)
        domain = v->domain;
    pthread_mutex_unlock(&v->all->lock);
    return domain ? virDomainIsActive(domain) : 1;
}

/* How libvirt says that it ended. */
static const char *end_of(const struct machine *v)
{
    static const char *const texts[] = {
        [VIR_DOMAIN_SHUTOFF_UNKNOWN] = "for an unknown reason",
        [VIR_DOMAIN_SHUTOFF_SHUTDOWN] = "its system shut down",
        [VIR_DOMAIN_SHUTOFF_DESTROYED] = "it was destroyed",
        [VIR_DOMAIN_SHUTOFF_CRASHED] = "it crashed",
    };
    int state = 0, reason = 0;

    if (virDomainGetState(v->domain, &state, &reason, 0) < 0 || reason < 0 ||
        (size_t)reason >= ARRAY_LEN(texts))
        reason = VIR_DOMAIN_SHUTOFF_UNKNOWN;
    return texts[reason];
}

static int check(struct machine *v, struct err **err)
{
    CLEANUP_FREE char *line = NULL, *log = NULL, *words = NULL;
    int active = runs(v);

    if (active == 1)
        return 0;
    if (active < 0)
        return virt_error(err, "asking for machine %s", v->name);
    line = last_line(v->console);
    if (!v->mourned)
        supervisor_tell(v->all->supervisor, LAB_DIED, v->name, "%s", line);
    v->mourned = true;
    log = machine_emulator_log(v->all, v->name);
    words = last_line(log);
    err_new(err, ECHILD,
            "machine %s has ended by itself (%s); its console's last line: %s; its emulator's: %s",
            v->name, end_of(v), line, words);
    err_hint(err, "the whole of both: machines/%s/console.log, emulator.log", v->name);
    return -ECHILD;
}

int machines_check(struct machines *m, struct err **err)
{
    int r;

    struct machine *v;

    pthread_mutex_lock(&m->lock);
    v = m->first;
    pthread_mutex_unlock(&m->lock);
    for (; v; v = v->next)
        if ((r = check(v, err)) < 0)
            return r;
    return 0;
}

int machine_alive(void *userdata, struct err **err)
{
    struct machine *v = userdata;
    int r;

    if ((r = supervisor_interrupted(v->all->supervisor, err)) < 0)
        return r;
    if (!v->all->ignore_casualties && (r = supervisor_check(v->all->supervisor, err)) < 0)
        return r;
    return check(v, err);
}

void machines_ignore_casualties(struct machines *m)
{
    m->ignore_casualties = true;
}

/* --- the capability -------------------------------------------------------------------------- */

static bool is_as_specified(const struct machine *v, const struct machine_spec *spec)
{
    return v->wanted && virDomainIsActive(v->domain) == 1 && str_eq(v->arch, spec->arch) &&
           str_eq(v->image, spec->image) && str_eq(v->ssh_key, spec->ssh_key) &&
           v->cpus == spec->cpus && v->memory_mb == spec->memory_mb;
}

static int remove_machine(void *impl, const char *name, struct err **err)
{
    struct machines *m = impl;
    struct machine *v = machine_find(m, name), **at = &m->first;
    CLEANUP_FREE char *dir = NULL;

    if (!v)
        return 0;
    pthread_mutex_lock(&m->lock);
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    pthread_mutex_unlock(&m->lock);
    dir = xstrdup(v->dir);
    machine_free(v);
    return dir_remove(dir, err);
}

/* A host's libvirt finds the emulator itself. */
static int check_programs(const struct machines *m, const struct machine_spec *spec,
                          struct err **err)
{
    CLEANUP_FREE char *emulator = xasprintf("qemu-system-%s", spec->arch);
    const char *missing = !proc_find("qemu-img")                    ? "qemu-img"
                          : m->virt.private && !proc_find(emulator) ? emulator
                                                                    : NULL;

    if (!missing)
        return 0;
    err_new(err, ENOENT, "QEMU is missing: %s is not found in PATH", missing);
    return err_hint(err, "'rig doctor' says what to install");
}

static int ensure(void *impl, const struct machine_spec *spec, bool *ret_changed, struct err **err)
{
    struct machines *m = impl;
    struct machine *v = machine_find(m, spec->name);
    bool changed = false;
    int r;

    if ((r = check_name(spec->name, err)) < 0 || (r = check_programs(m, spec, err)) < 0 ||

        (r = machines_choose_accel(m, spec->arch, spec->image, NULL, err)) < 0)
        return r;
    if (!v || !is_as_specified(v, spec)) {
        CLEANUP(machine_free) struct machine *made = NULL;

        if ((r = remove_machine(m, spec->name, err)) < 0 ||
            (r = machine_new(m, spec, &made, err)) < 0 || (r = switch_on(made, err)) < 0)
            return r;
        pthread_mutex_lock(&m->lock);
        made->next = m->first;
        m->first = steal_ptr(made);
        pthread_mutex_unlock(&m->lock);
        changed = true;
    }
    if (ret_changed)
        *ret_changed = changed;
    return 0;
}

static int reach(void *impl, const char *name, int64_t timeout_ms, const struct device_host **ret,
                 struct err **err)
{
    struct machine *v = NULL;
    CLEANUP_FREE char *line = NULL;
    int r = machine_need(impl, name, &v, err);

    if (r < 0)
        return r;
    if (!v->wanted)
        return err_new(err, EHOSTDOWN, "machine %s is powered off", name);
    if (v->nameless && (r = machine_name(v, err)) < 0)
        return r;
    if ((r = remote_wait(v->remote, timeout_ms, err)) == -ETIMEDOUT) {
        line = last_line(v->console);
        err_wrap(err, "machine %s", name);
        err_hint(err, "its console's last line: %s\nthe whole console: machines/%s/console.log",
                 line, v->name);
        return r;
    }
    if (r < 0)
        return r;
    if (!v->ready)
        supervisor_tell(v->all->supervisor, LAB_READY, v->name, "SSH answers");
    v->ready = true;
    *ret = remote_device_host(v->remote);
    return 0;
}

int machines_new(struct supervisor *s, const struct machines_config *config, struct machines **ret,
                 struct err **err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/machines", config->dir), *found = NULL;
    CLEANUP(machines_free) struct machines *m = xcalloc(1, sizeof(*m));
    int r;

    m->supervisor = s;
    if (sodium_init() < 0)
        return err_new(err, EIO, "libsodium does not start");
    if ((r = dir_make(dir, 0755, err)) < 0 || (r = dir_make(config->cache_dir, 0755, err)) < 0)
        return r;
    if (!(found = realpath(config->dir, NULL)))
        return err_errno(err, errno, "%s", config->dir);
    m->dir = steal_ptr(found);
    m->cache_dir = xstrdup(config->cache_dir);
    m->prefix = xstrdup(config->prefix);
    m->ssh_key = xstrdup(config->ssh_key);
    m->accel = xstrdup(config->accel);
    m->factor = 1;
    m->cold = config->cold;
    m->note = config->note;
    m->userdata = config->userdata;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->making, NULL);
    m->host = (struct machine_host){
        .ensure = ensure, .reach = reach, .remove = remove_machine, .impl = m
    };
    if ((r = virt_open(s, config->uri, m->dir, m->cache_dir, &m->virt, err)) < 0)
        return r;
    if (!m->virt.private)
        virt_sweep(m->virt.connection);
    *ret = steal_ptr(m);
    return 0;
}

void machines_free(struct machines *m)
{
    struct machine *v;

    if (!m)
        return;
    while ((v = m->first)) {
        m->first = v->next;
        machine_free(v);
    }
    machines_cool(m);
    virt_close(m->supervisor, &m->virt);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->making);
    free(m->dir);
    free(m->cache_dir);
    free(m->prefix);
    free(m->ssh_key);
    free(m->accel);
    free(m);
}

const struct machine_host *machines_host(struct machines *m)
{
    return &m->host;
}

const char *machines_accel(const struct machines *m)
{
    return m->accel ? m->accel : m->first ? "tcg" : "";
}

const char *machines_uri(const struct machines *m)
{
    return m->virt.uri;
}

/* --- power, ports ---------------------------------------------------------------------------- */

int machine_power_cut(struct machines *m, const char *name, struct err **err)
{
    struct machine *v = NULL;
    int r = machine_need(m, name, &v, err);
    bool was_on;

    if (r < 0)
        return r;
    was_on = v->wanted;
    v->wanted = false;
    remote_drop(v->remote);
    if (virDomainIsActive(v->domain) == 1 && switch_off(v) < 0)
        return virt_error(err, "cutting the power of machine %s", name);
    if (was_on)
        supervisor_tell(m->supervisor, LAB_STOP, name, "power cut");
    return 0;
}

int machine_power_on(struct machines *m, const char *name, struct err **err)
{
    struct machine *v = NULL;
    int r = machine_need(m, name, &v, err);

    if (r < 0)
        return r;
    return machine_powered(m, name) ? 0 : machine_power(v, err);
}

bool machine_powered(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    return v && virDomainIsActive(v->domain) == 1;
}

int machine_monitor(struct machine *v, const char *command, char **ret_answer, struct err **err)
{
    char *answer = NULL;
    int r = 0;

    if (virDomainQemuMonitorCommand(v->domain, command, &answer,
                                    VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP) < 0)
        return virt_error(err, "machine %s: \"%s\"", v->name, command);
    if (ret_answer)
        *ret_answer = steal_ptr(answer);
    else if (answer && *answer)
        r = err_new(err, EIO, "machine %s: \"%s\": %s", v->name, command, answer);
    free(answer);
    return r;
}

static int forward_now(struct machine *v, uint16_t host, uint16_t guest, struct err **err)
{
    char command[MONITOR_MAX];

    snprintf(command, sizeof(command), "hostfwd_add " DOMAIN_NETDEV " tcp:127.0.0.1:%u-:%u", host,
             guest);
    return machine_monitor(v, command, NULL, err);
}

int machine_forward(struct machines *m, const char *name, uint16_t guest_port, uint16_t *ret_port,
                    struct err **err)
{
    struct machine *v = NULL;
    uint16_t port = 0;
    int r = machine_need(m, name, &v, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < v->n_forwards; i++)
        if (v->forwards[i].guest == guest_port) {
            *ret_port = v->forwards[i].host;
            return 0;
        }
    if ((r = add_forward(v, guest_port, &port, err)) < 0)
        return r;
    if (machine_powered(m, name) && (r = forward_now(v, port, guest_port, err)) < 0) {
        v->n_forwards--;
        return r;
    }
    *ret_port = port;
    return 0;
}

const char *machine_console(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    return v ? v->console : NULL;
}

char *machine_emulator_log(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    if (!v)
        return NULL;
    return m->virt.private ? xasprintf("%s/libvirt/log/qemu/%s.log", m->dir, v->domain_name)
                           : xasprintf("/var/log/libvirt/qemu/%s.log", v->domain_name);
}

const char *machine_fingerprint(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    return v ? remote_fingerprint(v->remote) : NULL;
}
