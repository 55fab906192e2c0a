/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/libvirtd.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

/* QEMU runs as whoever we are and nobody relabels, confines or moves anything: the files are ours
 * alone, and there may be no cgroups, no dbus and no virtlogd. */
static const char qemu_conf[] = "user = \"root\"\n"
                                "group = \"root\"\n"
                                "security_driver = \"none\"\n"
                                "dynamic_ownership = 0\n"
                                "remember_owner = 0\n"
                                "namespaces = []\n"
                                "cgroup_controllers = []\n"
                                "stdio_handler = \"file\"\n";

static const char libvirtd_conf[] = "auth_unix_ro = \"none\"\n"
                                    "auth_unix_rw = \"none\"\n"
                                    "log_outputs = \"3:stderr\"\n";

struct view {
    char *from;
    const char *to;
};

/* Lives as long as the process: the supervisor may start the daemon again. */
static struct view views[] = { { NULL, "/run/libvirt" },
                               { NULL, "/var/lib/libvirt" },
                               { NULL, "/var/log/libvirt" },
                               { NULL, "/etc/libvirt" },
                               { NULL, "/var/cache/libvirt" } };

/*
 * Emulators are orphans from birth, and one that has ended is a zombie until somebody reaps it, for
 * which libvirt waits. The first process of a container does so late or never, hence a process of our
 * own between the rig and the daemon. It ends with the daemon, and the daemon with it.
 */
static int have_a_reaper(void)
{
    static const int ignored[] = { SIGTERM, SIGINT, SIGHUP };
    int status = 0;
    pid_t daemon, ended;

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || (daemon = fork()) < 0)
        return -errno;
    if (daemon == 0)
        return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    close_range(0, ~0U, 0);
    do
        ended = waitpid(-1, &status, 0);
    while (ended != daemon && (ended > 0 || errno == EINTR));
    _exit(ended == daemon && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* In the child, before exec: system calls only. */
static int enter_own_view(void *userdata)
{
    (void)userdata;
    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    /* In a chroot "/" is no mount point; whoever made the chroot made its mounts private. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 && errno != EINVAL)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        if (mkdir(views[i].to, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (mount(views[i].from, views[i].to, NULL, MS_BIND, NULL) < 0)
            return -errno;
    }
    return have_a_reaper();
}

static int make_folders(const char *dir, const char *cache_dir, struct err **err)
{
    static const char *const names[] = { "run", "lib", "log", "etc" };

    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        CLEANUP_FREE char *path = i < ARRAY_LEN(names) ? xasprintf("%s/libvirt/%s", dir, names[i])
                                                       : xasprintf("%s/libvirt", cache_dir);
        int r = dir_make(path, 0755, err);

        if (r < 0)
            return r;
        free(views[i].from);
        if (!(views[i].from = realpath(path, NULL)))
            return err_errno(err, errno, "%s", path);
    }
    return 0;
}

int libvirtd_start(struct supervisor *s, const char *dir, const char *cache_dir, char **ret_uri,
                   struct err **err)
{
    CLEANUP_FREE char *qemu = xasprintf("%s/libvirt/etc/qemu.conf", dir);
    CLEANUP_FREE char *own = xasprintf("%s/libvirt/etc/libvirtd.conf", dir);
    CLEANUP_FREE char *idle = xasprintf("%d", LIBVIRTD_IDLE_S);
    struct proc_spec spec = { .argv = ARGV("libvirtd", "--timeout", idle, "--pid-file",
                                           "/run/libvirt/pid"),
                              .outlive = true,
                              .prepare = enter_own_view };
    int r;

    if (geteuid() != 0)
        return err_new(
                err, EPERM,
                "a private libvirtd needs root or the devbox; qemu:///session needs neither");
    if (!proc_find("libvirtd")) {
        err_new(err, ENOENT,
                "no libvirt daemon can be used here, and libvirtd is not found in PATH");
        return err_hint(err, "'rig doctor' says what to install");
    }
    if ((r = make_folders(dir, cache_dir, err)) < 0 ||
        (r = file_write(qemu, qemu_conf, strlen(qemu_conf), 0644, err)) < 0 ||
        (r = file_write(own, libvirtd_conf, strlen(libvirtd_conf), 0644, err)) < 0 ||
        (r = supervisor_start_spec(s, LIBVIRTD, &spec, err)) < 0)
        return r;
    *ret_uri = xasprintf("qemu+unix:///system?socket=/proc/%d/root/run/libvirt/libvirt-sock",
                         (int)supervisor_pid(s, LIBVIRTD));
    return 0;
}
