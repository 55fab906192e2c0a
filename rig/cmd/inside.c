/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

#define CONFIG_MAX (64 * 1024)
#define LOOK_MS 500
#define SHELL_GRACE_MS 2000

bool inside_has_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void inside_ssh_config(const struct scenario *scenario, const uint16_t *ports, const char *key,
                       struct buf *out)
{
    for (size_t i = 0; i < scenario->n_devices; i++) {
        if (!ports[i])
            continue;
        /* The host key is another one after every first boot; the way is this host's loopback. */
        buf_addf(out,
                 "Host %s\n"
                 "    HostName 127.0.0.1\n"
                 "    Port %u\n"
                 "    User root\n"
                 "    IdentityFile \"%s\"\n"
                 "    IdentitiesOnly yes\n"
                 "    StrictHostKeyChecking no\n"
                 "    UserKnownHostsFile /dev/null\n"
                 "    LogLevel ERROR\n",
                 scenario->devices[i].name, ports[i], key);
    }
}

static char *config_path(const struct inside *in)
{
    return xasprintf("%s/lab/ssh_config", in->folder);
}

static bool write_config(const struct inside *in)
{
    size_t n = in->scenario->n_devices;
    CLEANUP_FREE uint16_t *ports = xcalloc(n + 1, sizeof(*ports));
    CLEANUP_FREE char *key = xasprintf("%s/lab/ssh_key", in->folder), *path = config_path(in);
    CLEANUP_BUF struct buf text = BUF_INIT(CONFIG_MAX);
    struct machines *machines = in->lab ? lab_machines(in->lab) : NULL;
    CLEANUP_ERR struct err *err = NULL;

    for (size_t i = 0; machines && i < n; i++)
        machine_forward(machines, in->scenario->devices[i].name, 22, &ports[i], NULL);
    inside_ssh_config(in->scenario, ports, key, &text);
    if (text.len > 0 && file_write(path, buf_str(&text), text.len, 0600, &err) < 0)
        progress_line(in->progress, "%s", err_text(err));
    return text.len > 0 && !err;
}

void inside_tell(const struct inside *in)
{
    CLEANUP_FREE char *config = config_path(in);
    const char *kubeconfig = in->lab ? lab_kubeconfig(in->lab) : NULL;
    struct progress *p = in->progress;

    progress_line(p, "  files     %s", in->folder);
    if (kubeconfig)
        progress_line(p, "  objects   kubectl --kubeconfig %s get fleetdep,fleetdev", kubeconfig);
    if (!write_config(in))
        return;
    for (size_t i = 0; i < in->scenario->n_devices; i++)
        progress_line(p, "  %-9s ssh -F %s %s", i == 0 ? "devices" : "", config,
                      in->scenario->devices[i].name);
}

/* The shell had the terminal; whatever it did, it is ours again. */
static void take_terminal_back(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;

    sigaction(SIGTTOU, &ignore, &before);
    tcsetpgrp(STDIN_FILENO, getpgrp());
    sigaction(SIGTTOU, &before, NULL);
}

void inside_shell(const struct inside *in, const volatile sig_atomic_t *stop)
{
    const char *shell = getenv("SHELL");
    CLEANUP_FREE char *kubeconfig = xasprintf(
            "KUBECONFIG=%s", in->lab && lab_kubeconfig(in->lab) ? lab_kubeconfig(in->lab) : "");
    CLEANUP_FREE char *run = xasprintf("FLEETRIG_RUN=%s", in->folder), *path = config_path(in);
    CLEANUP_FREE char *config = xasprintf("FLEETRIG_SSH_CONFIG=%s", path);
    /* 0 would mean /dev/null to proc_spawn(). */
    CLEANUP_CLOSE int terminal = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    struct proc_spec spec = { .argv = ARGV(shell && *shell ? shell : "/bin/sh"),
                              .env = ARGV(kubeconfig, run, config),
                              .cwd = in->folder,
                              .in_fd = terminal,
                              .out_fd = STDOUT_FILENO,
                              .err_fd = STDERR_FILENO };
    CLEANUP_ERR struct err *err = NULL;
    struct proc p = { 0 };

    progress_clear(in->progress);
    if (proc_spawn(&spec, &p, &err) < 0) {
        progress_line(in->progress, "%s", err_text(err));
        return;
    }
    while (!*stop && proc_wait(&p, LOOK_MS, NULL) == -ETIMEDOUT)
        ;
    proc_stop(&p, false, SHELL_GRACE_MS);
    take_terminal_back();
}
