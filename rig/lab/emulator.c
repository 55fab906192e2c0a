/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/lab/emulator.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"

#define ENDED_MS 10000
#define COMMAND_MAX (64 * 1024)

/* The argument behind `option` in a command line whose words end with NUL. */
static const char *argument(const char *command, size_t len, const char *option)
{
    for (const char *word = command; word < command + len; word += strlen(word) + 1)
        if (str_eq(word, option) && word + strlen(word) + 1 < command + len)
            return word + strlen(word) + 1;
    return NULL;
}

/* "guest=NAME,..." as libvirt writes it. */
static bool names(const char *value, const char *domain_name)
{
    size_t len = strlen(domain_name);

    return value && str_starts(value, "guest=") &&
           strncmp(value + strlen("guest="), domain_name, len) == 0 &&
           (value[strlen("guest=") + len] == ',' || !value[strlen("guest=") + len]);
}

static bool emulates(const char *pid, const char *domain_name, const char *uuid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%s/cmdline", pid), *command = NULL;
    size_t len = 0;

    return file_read(path, COMMAND_MAX, &command, &len, NULL) >= 0 &&
           names(argument(command, len, "-name"), domain_name) &&
           str_eq(argument(command, len, "-uuid"), uuid);
}

int emulator_open(const char *domain_name, const char *uuid, pid_t *ret_pid, struct err **err)
{
    DIR *proc = opendir("/proc");
    struct dirent *d;
    int fd = -1;

    while (proc && fd < 0 && (d = readdir(proc))) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

        if (pid <= 0 || (fd = pidfd_open(pid, 0)) < 0)
            continue;
        if (emulates(d->d_name, domain_name, uuid)) {
            *ret_pid = pid;
            break;
        }
        close(steal_fd(&fd));
    }
    if (proc)
        closedir(proc);
    return fd >= 0 ? fd
                   : err_new(err, ESRCH, "the emulator of machine %s is not among the processes",
                             domain_name);
}

int emulator_kill(const char *domain_name, const char *uuid, pid_t *ret_pid, struct err **err)
{
    pid_t pid = 0;
    CLEANUP_CLOSE int fd = emulator_open(domain_name, uuid, &pid, NULL);
    struct pollfd end = { .fd = fd, .events = POLLIN };

    if (ret_pid)
        *ret_pid = pid;
    if (fd < 0)
        return 0;
    if (pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return err_errno(err, errno, "killing the emulator of machine %s (pid %d)", domain_name,
                         pid);
    if (poll(&end, 1, ENDED_MS) <= 0)
        return err_new(err, ETIMEDOUT, "the emulator of machine %s (pid %d) does not end",
                       domain_name, pid);
    return 0;
}
