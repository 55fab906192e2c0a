/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: the open entries of the ledger, newest first, so that what stands on something
 * else goes before it: a machine before the daemon that runs it, a mount before its folder. An entry
 * whose thing is not there, or is somebody else's by now, is crossed out without a word. After a
 * reboot of the host there are no processes and no mounts of ours; folders and definitions are.
 */

#include "rig/lab/heal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/lab/emulator.h"
#include "rig/lab/virt.h"
#include "rig/ledger/ledger.h"

#define TERM_MS 3000
#define KILL_MS 10000
#define UNMOUNT_MS 10000

struct healing {
    const char *dir;
    bool dry;
    heal_told *told;
    void *userdata;
    const struct ledger_page *page;
    bool same_boot;
    size_t n;        /* of what was there */
    size_t failures; /* of those */
};

static void __attribute__((format(printf, 2, 3))) tell(struct healing *h, const char *fmt, ...)
{
    char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&line, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (h->told)
        h->told(line, h->userdata);
    free(line);
}

/* --- Processes ------------------------------------------------------------------------------- */

static bool ended_within(int pidfd, int timeout_ms)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };

    return poll(&end, 1, timeout_ms) == 1;
}

/* The process, or its whole group where it leads one. */
static void send(pid_t pid, int pidfd, int number)
{
    if (getpgid(pid) == pid)
        kill(-pid, number);
    else
        pidfd_send_signal(pidfd, number, NULL, 0);
}

static int heal_process(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    CLEANUP_CLOSE int pidfd = -1;

    if (!h->same_boot || e->pid <= 1 || (pidfd = pidfd_open(e->pid, 0)) < 0)
        return 0;
    /* Asked while the pidfd holds the pid, so it cannot be given to another meanwhile. */
    if (e->start == 0 || process_start(e->pid) != e->start)
        return 0;
    h->n++;
    tell(h, "%s %s (process %d)", h->dry ? "would end" : "ending", e->subject, (int)e->pid);
    if (h->dry)
        return 0;
    send(e->pid, pidfd, SIGTERM);
    if (ended_within(pidfd, TERM_MS))
        return 0;
    send(e->pid, pidfd, SIGKILL);
    if (ended_within(pidfd, KILL_MS))
        return 0;
    return err_new(err, EBUSY, "%s (process %d) does not end", e->subject, (int)e->pid);
}

/* --- Machines -------------------------------------------------------------------------------- */

/* A private daemon keeps its machines in the lab's folder: they are gone with either. */
static bool is_private(const char *uri)
{
    return strstr(uri, "socket=/proc/") != NULL;
}

static virDomainPtr find_domain(virConnectPtr connection, const struct ledger_entry *e)
{
    virDomainPtr domain = virDomainLookupByUUIDString(connection, e->uuid);

    /* Nobody else has our uuid; this guards against a ledger that somebody wrote by hand. */
    if (domain && !str_eq(virDomainGetName(domain), e->subject)) {
        virDomainFree(domain);
        return NULL;
    }
    return domain;
}

/* It may have lost its daemon. */
static int kill_emulator(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    pid_t pid = 0;
    int fd = emulator_open(e->subject, e->uuid, &pid, NULL);

    if (fd < 0)
        return 0;
    close(fd);
    h->n++;
    tell(h, "%s the emulator of machine %s (process %d)", h->dry ? "would end" : "ending",
         e->subject, (int)pid);
    return h->dry ? 0 : emulator_kill(e->subject, e->uuid, NULL, err);
}

static int remove_domain(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;
    CLEANUP(virDomainFree) virDomainPtr domain = NULL;

    if (is_private(e->place) && !h->same_boot)
        return 0;
    virt_quiet();
    connection = virConnectOpen(e->place);
    if (!connection && is_private(e->place))
        return 0;
    if (!connection)
        return virt_error(err, "machine %s: connecting to %s", e->subject, e->place);
    if (!(domain = find_domain(connection, e)))
        return 0;
    h->n++;
    tell(h, "%s machine %s (%s)", h->dry ? "would remove" : "removing", e->subject, e->place);
    if (h->dry)
        return 0;
    virDomainDestroy(domain);
    if (virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                               VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                               VIR_DOMAIN_UNDEFINE_NVRAM) < 0 &&
        virDomainIsPersistent(domain) == 1)
        return virt_error(err, "machine %s", e->subject);
    return 0;
}

static int heal_machine(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    int r, killed;

    if (!e->place || !e->uuid || !str_starts(e->subject, VIRT_PREFIX))
        return 0;
    r = remove_domain(h, e, err);
    killed = kill_emulator(h, e, r < 0 ? NULL : err);
    return r < 0 ? r : killed;
}

/* --- Mounts and folders ---------------------------------------------------------------------- */

static int heal_mount(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    CLEANUP_FREE char *table = NULL, *needle = xasprintf(" %s ", e->subject);

    if (!h->same_boot || file_read("/proc/self/mountinfo", 1 << 24, &table, NULL, NULL) < 0 ||
        !strstr(table, needle))
        return 0;
    h->n++;
    tell(h, "%s %s", h->dry ? "would unmount" : "unmounting", e->subject);
    if (h->dry || umount2(e->subject, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return 0;
    /* An ordinary user's own, in user space. */
    if (errno == EPERM)
        return proc_run(ARGV("fusermount3", "-u", "-z", e->subject), NULL, UNMOUNT_MS, NULL, NULL,
                        err);
    return err_errno(err, errno, "unmounting %s", e->subject);
}

/* Only what lies in the run's own folder: a ledger is no licence to remove anything else. */
static bool is_inside(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return str_starts(path, dir) && path[len] == '/' && path[len + 1] && !strstr(path, "/../") &&
           !str_ends(path, "/..");
}

static int heal_folder(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    if (!is_inside(e->subject, h->dir) || !file_exists(e->subject))
        return 0;
    h->n++;
    tell(h, "%s %s", h->dry ? "would remove" : "removing", e->subject);
    return h->dry ? 0 : dir_remove(e->subject, err);
}

/* --- All of it ------------------------------------------------------------------------------- */

/* A fault of a lab that is no more is no fault of anything. */
static int heal_fault(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    (void)h;
    (void)e;
    (void)err;
    return 0;
}

static int heal_entry(struct healing *h, const struct ledger_entry *e, struct err **err)
{
    static int (*const by_kind[])(struct healing *h, const struct ledger_entry *e,
                                  struct err **err) = {
        [LEDGER_FAULT] = heal_fault,     [LEDGER_PROCESS] = heal_process,
        [LEDGER_MACHINE] = heal_machine, [LEDGER_FOLDER] = heal_folder,
        [LEDGER_MOUNT] = heal_mount,
    };

    return by_kind[e->kind](h, e, err);
}

static void heal_entries(struct healing *h, struct ledger *ledger)
{
    for (size_t i = h->page->n_open; i-- > 0;) {
        const struct ledger_entry *e = &h->page->open[i];
        CLEANUP_ERR struct err *err = NULL;

        if (heal_entry(h, e, &err) >= 0 && (h->dry || ledger_done(ledger, e->id, &err) >= 0))
            continue;
        h->failures++;
        tell(h, "cannot: %s", err_text(err));
    }
}

int heal(const char *dir, bool dry, heal_told *told, void *userdata, size_t *ret_n,
         struct err **err)
{
    CLEANUP_FREE char *found = realpath(dir, NULL);
    CLEANUP_FREE char *path = xasprintf("%s/" LEDGER_NAME, found ? found : dir);
    CLEANUP(ledger_free) struct ledger *ledger = NULL;
    CLEANUP_LEDGER_PAGE struct ledger_page page = { 0 };
    struct healing h = {
        .dir = found ? found : dir, .dry = dry, .told = told, .userdata = userdata, .page = &page
    };
    int r;

    if (!file_exists(path)) {
        if (ret_n)
            *ret_n = 0;
        return 0;
    }
    if ((r = ledger_read(path, &page, err)) < 0)
        return r;
    if (ledger_owner_lives(&page))
        return err_new(err, EBUSY, "%s belongs to process %d, which lives", dir, (int)page.pid);
    if (!dry && page.n_open > 0 && (r = ledger_reopen(h.dir, &ledger, err)) < 0)
        return r;
    h.same_boot = ledger_of_this_boot(&page);
    heal_entries(&h, ledger);
    if (ret_n)
        *ret_n = h.n;
    if (h.failures == 0)
        return 0;
    err_new(err, EBUSY, "%zu of what the run in %s left could not be taken back", h.failures, dir);
    return err_hint(err, "what was said above tells why; 'rig heal' goes on where it stopped");
}
