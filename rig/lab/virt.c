/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/virt.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/libvirtd.h"

#define QEMU_MIN 8000000UL /* 8.0.0 as libvirt counts */
#define START_MS 60000     /* the first one on a host asks every emulator what it can do */

static void say_nothing(void *userdata, virErrorPtr error)
{
    (void)userdata;
    (void)error;
}

void virt_quiet(void)
{
    virSetErrorFunc(NULL, say_nothing);
}

static int errno_of(int code)
{
    switch (code) {
    case VIR_ERR_NO_DOMAIN:
        return ENOENT;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
        return EACCES;
    case VIR_ERR_OPERATION_INVALID:
        return EBUSY;
    default:
        return EIO;
    }
}

int virt_error(struct err **err, const char *fmt, ...)
{
    virErrorPtr error = virGetLastError();
    CLEANUP_FREE char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&what, fmt, ap) < 0)
        abort();
    va_end(ap);
    return err_new(err, errno_of(error ? error->code : 0), "%s: %s", what,
                   error && error->message ? error->message : "libvirt gives no reason");
}

/* May another user get into this folder? */
static bool open_to_others(const char *path)
{
    CLEANUP_FREE char *p = realpath(path, NULL);
    struct stat st;
    char *slash;

    while (p && (slash = strrchr(p, '/'))) {
        if (stat(*p ? p : "/", &st) < 0 || !(st.st_mode & S_IXOTH))
            return false;
        *slash = '\0';
    }
    return p != NULL;
}

static const char *const system_sockets[] = { "/run/libvirt/libvirt-sock",
                                              "/run/libvirt/virtqemud-sock", NULL };

/* The first of these paths that is there, or NULL. */
static const char *first_socket(const char *const *paths)
{
    for (; *paths; paths++)
        if (file_exists(*paths))
            return *paths;
    return NULL;
}

static bool new_enough(virConnectPtr connection)
{
    unsigned long version = 0;

    return virConnectGetVersion(connection, &version) == 0 && version >= QEMU_MIN;
}

/* Opens the host's daemon when it serves our purpose; else says why it does not. It is asked only
 * where one of its `sockets` is (NULL: known to be), since libvirt would look for a daemon to start
 * otherwise. */
static bool open_host(const char *uri, const char *const *sockets, struct virt *ret,
                      char **ret_why_not)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;
    CLEANUP_ERR struct err *err = NULL;

    if (sockets && !first_socket(sockets)) {
        *ret_why_not = xstrdup("does not run");
        return false;
    }
    connection = virConnectOpen(uri);
    if (!connection) {
        virt_error(&err, "refuses");
        *ret_why_not = xstrdup(err_text(err));
        return false;
    }
    if (!new_enough(connection)) {
        *ret_why_not = xstrdup("has a QEMU older than 8.0");
        return false;
    }
    *ret = (struct virt){ .connection = steal_ptr(connection), .uri = xstrdup(uri) };
    return true;
}

/* The session daemon of the person who runs this, also from within a user namespace, where they
 * are root. NULL when none runs. The caller frees it. */
static char *session_uri(void)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    CLEANUP_FREE char *one = xasprintf("%s/libvirt/libvirt-sock", dir ? dir : "");
    CLEANUP_FREE char *modular = xasprintf("%s/libvirt/virtqemud-sock", dir ? dir : "");
    const char *found = dir ? first_socket((const char *[]){ one, modular, NULL }) : NULL;

    return found ? xasprintf("qemu+unix:///session?socket=%s", found) : NULL;
}

struct attempt {
    const char *uri;
    virConnectPtr connection;
};

static int try_open(void *userdata, struct err **err)
{
    struct attempt *a = userdata;

    a->connection = virConnectOpen(a->uri);
    return a->connection ? 0 : virt_error(err, "connecting");
}

static int open_private(struct supervisor *s, const char *dir, const char *cache_dir,
                        struct virt *ret, struct err **err)
{
    CLEANUP_FREE char *uri = NULL;
    struct attempt a = { 0 };
    int r = libvirtd_start(s, dir, cache_dir, &uri, err);

    if (r < 0)
        return r;
    a.uri = uri;
    if ((r = supervisor_wait(s, LIBVIRTD, try_open, &a, START_MS, err)) < 0) {
        supervisor_stop(s, LIBVIRTD, NULL);
        return r;
    }
    *ret = (struct virt){ .connection = a.connection, .uri = steal_ptr(uri), .private = true };
    return 0;
}

static int open_chosen(const char *uri, struct virt *ret, struct err **err)
{
    CLEANUP(virConnectClose) virConnectPtr connection = virConnectOpen(uri);

    if (!connection) {
        virt_error(err, "connecting to %s", uri);
        return err_hint(err, "'rig doctor' says which libvirt daemons can be used here; --libvirt "
                             "chooses another");
    }
    if (!new_enough(connection))
        return err_new(err, ENOTSUP,
                       "%s: its QEMU is older than 8.0, whose emulation the device kernel needs",
                       uri);
    *ret = (struct virt){ .connection = steal_ptr(connection), .uri = xstrdup(uri) };
    return 0;
}

static int choose_private(char *why, struct virt *ret, char **ret_why)
{
    *ret = (struct virt){ .uri = xstrdup("private"), .private = true };
    *ret_why = why;
    return 0;
}

/* Without a URI. */
static int choose(const char *dir, const char *cache_dir, struct virt *ret, char **ret_why,
                  struct err **err)
{
    CLEANUP_FREE char *session = session_uri(), *system_not = NULL, *session_not = NULL;
    int r;

    if (!open_to_others(dir) || !open_to_others(cache_dir)) {
        system_not = xstrdup("may not read our folders (closed to others)");
    } else if (open_host("qemu:///system", system_sockets, ret, &system_not)) {
        *ret_why = xstrdup("the host's daemon answers, and may read our folders");
        return 0;
    }
    if (!session) {
        session_not = xstrdup("does not run");
    } else if (open_host(session, NULL, ret, &session_not)) {
        *ret_why = xasprintf("your session's daemon runs; the host's %s", system_not);
        return 0;
    }
    if (geteuid() == 0)
        return choose_private(
                xasprintf("the host's daemon %s; your session's %s", system_not, session_not), ret,
                ret_why);
    if ((r = open_chosen("qemu:///session", ret, err)) < 0)
        return r;
    *ret_why = xasprintf("libvirt starts it when asked; the host's daemon %s", system_not);
    return 0;
}

int virt_choose(const char *uri, const char *dir, const char *cache_dir, struct virt *ret,
                char **ret_why, struct err **err)
{
    int r;

    virt_quiet();
    if (!uri)
        return choose(dir, cache_dir, ret, ret_why, err);
    if (str_eq(uri, "private"))
        return choose_private(xstrdup("as chosen"), ret, ret_why);
    if ((r = open_chosen(uri, ret, err)) < 0)
        return r;
    *ret_why = xstrdup("as chosen");
    return 0;
}

int virt_open(struct supervisor *s, const char *uri, const char *dir, const char *cache_dir,
              struct virt *ret, struct err **err)
{
    CLEANUP_FREE char *why = NULL;
    struct virt chosen = { 0 };
    int r = virt_choose(uri, dir, cache_dir, &chosen, &why, err);

    if (r < 0)
        return r;
    if (!chosen.private) {
        *ret = chosen;
        return 0;
    }
    free(chosen.uri);
    return open_private(s, dir, cache_dir, ret, err);
}

static void sweep_one(virDomainPtr domain)
{
    const char *name = virDomainGetName(domain);
    char *end = NULL;
    long pid;

    if (!str_starts(name, VIRT_PREFIX))
        return;
    pid = strtol(name + strlen(VIRT_PREFIX), &end, 10);
    if (pid > 0 && *end == '-' && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
        virDomainUndefine(domain);
}

void virt_sweep(virConnectPtr connection)
{
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_INACTIVE);

    for (int i = 0; i < n; i++) {
        sweep_one(domains[i]);
        virDomainFree(domains[i]);
    }
    free(domains);
}

void virt_close(struct supervisor *s, struct virt *v)
{
    if (v->connection)
        virConnectClose(v->connection);
    if (v->private && s)
        supervisor_stop(s, LIBVIRTD, NULL);
    free(v->uri);
    *v = (struct virt){ 0 };
}
