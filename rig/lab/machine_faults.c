/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: all but two go through libvirt. The cable is the emulator's own business
 * (libvirt knows nothing of the network, see domain_xml.c), and is pulled through its monitor; since a
 * new emulator starts with the cable in, `link_cut` remembers it and machine_started() pulls it
 * again. SIGKILL goes to the process that runs the machine's uuid, which no interface of libvirt's
 * names.
 *
 * Protocol of set_link: qemu.org, "QEMU Human Monitor".
 */

#include "rig/lab/machine_faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "rig/lab/emulator.h"
#include "rig/lab/machines_internal.h"

#define ENDED_MS 10000
#define POLL_MS 20
#define POWEROFF_MS 15000 /* to say it, not to do it */

static int need_powered(struct machines *m, const char *name, struct machine **ret,
                        struct err **err)
{
    int r = machine_need(m, name, ret, err);

    if (r < 0 || machine_powered(m, name))
        return r;
    return err_new(err, EHOSTDOWN, "machine %s is powered off", name);
}

int machine_reset(struct machines *m, const char *name, struct err **err)
{
    struct machine *v = NULL;
    int r = need_powered(m, name, &v, err);

    if (r < 0)
        return r;
    remote_drop(v->remote);
    if (virDomainReset(v->domain, 0) < 0)
        return virt_error(err, "resetting machine %s", name);
    v->ready = false;
    supervisor_tell(m->supervisor, LAB_START, name, "reset");
    return 0;
}

/* --- standing still -------------------------------------------------------------------------- */

static bool is_paused(const struct machine *v)
{
    int state = VIR_DOMAIN_NOSTATE;

    return virDomainGetState(v->domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_PAUSED;
}

int machine_pause(struct machines *m, const char *name, struct err **err)
{
    struct machine *v = NULL;
    int r = need_powered(m, name, &v, err);

    if (r < 0 || is_paused(v))
        return r;
    if (virDomainSuspend(v->domain) < 0)
        return virt_error(err, "pausing machine %s", name);
    if (!is_paused(v))
        return err_new(err, EIO, "machine %s does not stand still", name);
    supervisor_tell(m->supervisor, LAB_PAUSE, name, "paused");
    return 0;
}

int machine_resume(struct machines *m, const char *name, struct err **err)
{
    struct machine *v = NULL;
    int r = need_powered(m, name, &v, err);

    if (r < 0 || !is_paused(v))
        return r;
    if (virDomainResume(v->domain) < 0)
        return virt_error(err, "resuming machine %s", name);
    supervisor_tell(m->supervisor, LAB_RESUME, name, "resumed");
    return 0;
}

bool machine_paused(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    return v && is_paused(v);
}

/* --- ending ---------------------------------------------------------------------------------- */

/* Libvirt tells only who runs an event loop. */
static int wait_inactive(const struct machine *v, int64_t timeout_ms, struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    int r;

    while (virDomainIsActive(v->domain) != 0) {
        if ((r = supervisor_interrupted(v->all->supervisor, err)) < 0)
            return r;
        if (clock_mono_ms() >= deadline)
            return err_new(err, ETIMEDOUT, "machine %s is still powered after %.1f s", v->name,
                           (double)timeout_ms / 1000);
        poll(NULL, 0, POLL_MS);
    }
    return 0;
}

static int kill_emulator(struct machine *v, pid_t *ret_pid, struct err **err)
{
    int r = emulator_kill(v->domain_name, v->uuid, ret_pid, err);

    if (r < 0)
        return r;
    if (*ret_pid == 0)
        return err_new(err, ESRCH, "the emulator of machine %s is not among the processes",
                       v->name);
    supervisor_tell(v->all->supervisor, LAB_STOP, v->name, "emulator killed (pid %d)",
                    (int)*ret_pid);
    return wait_inactive(v, ENDED_MS, err);
}

int machine_kill(struct machines *m, const char *name, pid_t *ret_pid, struct err **err)
{
    struct machine *v = NULL;
    pid_t pid = 0;
    int r = machine_need(m, name, &v, err);

    if (r < 0)
        return r;
    if (machine_powered(m, name)) {
        v->wanted = false;
        remote_drop(v->remote);
        if ((r = kill_emulator(v, &pid, err)) < 0) {
            v->wanted = machine_powered(m, name);
            return r;
        }
    }
    v->wanted = false;
    if (ret_pid)
        *ret_pid = pid;
    return 0;
}

/* The connection may break before the answer comes. */
static int say_poweroff(struct machine *v, int64_t timeout_ms, struct err **err)
{
    static const char *const poweroff[] = { "systemctl", "poweroff", NULL };
    const struct device_host *host = remote_device_host(v->remote);
    CLEANUP_ERR struct err *broken = NULL;
    int r = remote_wait(v->remote, timeout_ms, err);

    if (r < 0)
        return err_wrap(err, "machine %s", v->name);
    v->wanted = false;
    device_run(host, poweroff, POWEROFF_MS, NULL, &broken);
    return 0;
}

int machine_shut_down(struct machines *m, const char *name, int64_t timeout_ms, struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    struct machine *v = NULL;
    int r = machine_need(m, name, &v, err);

    if (r < 0)
        return r;
    if (!machine_powered(m, name)) {
        v->wanted = false;
        return 0;
    }
    if ((r = say_poweroff(v, timeout_ms, err)) < 0)
        return r;
    remote_drop(v->remote);
    if ((r = wait_inactive(v, clock_left_ms(deadline), err)) < 0) {
        v->wanted = true;
        return r;
    }
    supervisor_tell(m->supervisor, LAB_STOP, name, "shut down");
    return 0;
}

/* --- the cable ------------------------------------------------------------------------------- */

static int set_link(struct machine *v, struct err **err)
{
    return machine_monitor(
            v, v->link_cut ? "set_link " DOMAIN_NETDEV " off" : "set_link " DOMAIN_NETDEV " on",
            NULL, err);
}

int machine_link(struct machines *m, const char *name, bool up, struct err **err)
{
    struct machine *v = NULL;
    bool was;
    int r = machine_need(m, name, &v, err);

    if (r < 0)
        return r;
    was = v->link_cut;
    v->link_cut = !up;
    if (!machine_powered(m, name))
        return 0;
    if ((r = set_link(v, err)) < 0) {
        v->link_cut = was;
        return r;
    }
    /* A session that the cut may have broken would be found out at its next use only. */
    if (was != v->link_cut)
        remote_drop(v->remote);
    supervisor_tell(m->supervisor, LAB_LINK, name, "%s", up ? "link up" : "link cut");
    return 0;
}

bool machine_linked(struct machines *m, const char *name)
{
    struct machine *v = machine_find(m, name);

    return v && !v->link_cut;
}

int machine_started(struct machine *v, struct err **err)
{
    return v->link_cut ? set_link(v, err) : 0;
}

/* --- evidence -------------------------------------------------------------------------------- */

bool machine_greets(struct machines *m, const char *name, int64_t within_ms)
{
    int64_t deadline = clock_mono_ms() + within_ms;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct machine *v = machine_find(m, name);
    struct pollfd in = { .fd = fd, .events = POLLIN };
    char start[4];

    if (fd < 0 || !v || !machine_powered(m, name))
        return false;
    address.sin_port = htons(v->forwards[0].host); /* the first is SSH's */
    /* The emulator accepts whether or not the guest does: only its greeting counts. */
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
        return false;
    return poll(&in, 1, (int)clock_left_ms(deadline)) > 0 &&
           recv(fd, start, sizeof(start), 0) == (ssize_t)sizeof(start) &&
           memcmp(start, "SSH-", sizeof(start)) == 0;
}
