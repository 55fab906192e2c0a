/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/keeper_internal.h"
#include "rig/lab/lab_redeploy.h"
#include "rig/lab/machine_faults.h"
#include "rig/run/report.h"

#define REACH_MS 30000
#define SSH_PORT 22

/* --- The state file -------------------------------------------------------------------------- */

/* The host key as the device itself tells it, over the session that has its fingerprint pinned. */
static int add_host_key(struct keeper *k, const struct fleet_device *d, struct buf *out,
                        struct err **err)
{
    static const char *const read_key[] = { "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub", NULL };
    const struct device_host *host = NULL;
    CLEANUP_STRV char **lines = NULL;
    CLEANUP_FREE char *keys = NULL;
    int r;

    if ((r = lab_reach(k->lab, d->name, REACH_MS, &host, err)) < 0 ||
        (r = device_run(host, read_key, REACH_MS, &keys, err)) < 0)
        return r;
    lines = strv_split(keys, "\n");
    for (char **line = lines; line && *line; line++)
        buf_addf(out, "[127.0.0.1]:%u %s\n", d->ssh_port, *line);
    return 0;
}

static int add_device(struct keeper *k, const struct lab_device *from, struct buf *known_hosts,
                      struct err **err)
{
    struct fleet_device *d = &k->state.devices[k->state.n_devices++];
    struct machines *machines = lab_machines(k->lab);
    int r;

    d->name = xstrdup(from->name);
    d->labels = strv_copy((char *const *)(uintptr_t)from->labels);
    d->console = xstrdup(machine_console(machines, from->name));
    r = machine_forward(machines, from->name, SSH_PORT, &d->ssh_port, err);
    return r < 0 ? r : add_host_key(k, d, known_hosts, err);
}

static int write_secret(const struct keeper *k, const char *name, const char *text, size_t len,
                        char **ret_path, struct err **err)
{
    CLEANUP_FREE char *path = fleet_path(k->config->fleet, name);
    int r = file_write(path, text, len, 0600, err);

    if (r >= 0)
        *ret_path = steal_ptr(path);
    return r;
}

int keeper_write_state(struct keeper *k, struct err **err)
{
    CLEANUP_BUF struct buf known_hosts = BUF_INIT(1 << 20);
    CLEANUP_FREE char *path = fleet_path(k->config->fleet, FLEET_STATE);
    const char *user = NULL, *password = NULL;
    struct fleet_state *s = &k->state;
    int r;

    s->devices = xcalloc(k->config->n_devices, sizeof(*s->devices));
    for (size_t i = 0; i < k->config->n_devices; i++)
        if ((r = add_device(k, &k->config->devices[i], &known_hosts, err)) < 0)
            return err_wrap(err, "host key of %s", k->config->devices[i].name);
    if ((r = lab_nats(k->lab, &s->nats_url, &user, &password, err)) < 0 ||
        (r = write_secret(k, "nats-password", password, strlen(password), &s->nats_password_file,
                          err)) < 0 ||
        (r = write_secret(k, "known_hosts", buf_str(&known_hosts), known_hosts.len, &s->known_hosts,
                          err)) < 0)
        return r;
    s->nats_user = xstrdup(user);
    s->version = xstrdup(FLEETRIG_VERSION);
    s->accel = xstrdup(machines_accel(lab_machines(k->lab)));
    s->logs = fleet_path(k->config->fleet, "lab/logs");
    s->kubeconfig = xstrdup(lab_kubeconfig(k->lab));
    s->ssh_key = fleet_path(k->config->fleet, "lab/ssh_key");
    s->up = true;
    return fleet_state_write(path, s, err);
}

/* --- The answer to "status" ------------------------------------------------------------------ */

static json_t *components(struct keeper *k)
{
    struct supervisor *s = lab_supervisor(k->lab);
    CLEANUP_STRV char **names = supervisor_names(s);
    json_t *list = json_array();

    for (char **name = names; name && *name; name++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "name", *name, "pid",
                                              (int)supervisor_pid(s, *name), "log",
                                              supervisor_log(s, *name)));
    return list;
}

void keeper_on_event(enum lab_event_kind kind, const char *lane, const char *text, void *userdata)
{
    struct keeper *k = userdata;
    int64_t now = clock_wall_ms();

    (void)text;
    for (size_t i = 0; i < k->config->n_devices; i++) {
        struct keeper_device *d = &k->devices[i];

        if (!str_eq(k->config->devices[i].name, lane))
            continue;
        if (kind == LAB_READY && d->boot_ms < 0)
            d->boot_ms = now - d->since_wall_ms;
        if (kind == LAB_START || kind == LAB_STOP || kind == LAB_DIED) {
            d->since_wall_ms = now;
            d->boot_ms = -1;
        }
    }
}

/* NULL while it boots. */
static json_t *boot_text(int64_t boot_ms)
{
    char text[DURATION_TEXT_MAX];

    return boot_ms < 0 ? NULL : json_string(duration_format(boot_ms, text));
}

static json_t *devices(struct keeper *k)
{
    struct machines *machines = lab_machines(k->lab);
    json_t *list = json_array();

    for (size_t i = 0; i < k->state.n_devices; i++) {
        const struct fleet_device *d = &k->state.devices[i];
        const struct keeper_device *seen = &k->devices[i];
        CLEANUP_FREE char *labels = d->labels ? strv_join(d->labels, ",") : xstrdup("");
        bool on = machine_powered(machines, d->name);

        json_array_append_new(
                list, json_pack("{s:s, s:s, s:b, s:I, s:i, s:s, s:o*}", "name", d->name, "power",
                                !on                                 ? "off"
                                : machine_paused(machines, d->name) ? "paused"
                                                                    : "on",
                                "linked", (int)machine_linked(machines, d->name), "since_wall_ms",
                                (json_int_t)seen->since_wall_ms, "ssh_port", (int)d->ssh_port,
                                "labels", labels, "boot", boot_text(seen->boot_ms)));
    }
    return list;
}

static json_t *faults(struct keeper *k)
{
    CLEANUP_FREE struct open_fault *open = NULL;
    size_t n = k->session ? session_faults(k->session, &open) : 0;
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "sentence", open[i].sentence,
                                              "since_wall_ms", (json_int_t)open[i].wall_ms));
    return list;
}

void keeper_look(struct keeper *k)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_JSON json_t *data = NULL;

    data = json_pack("{s:s, s:i, s:I, s:o, s:o, s:o}", "fleet", k->config->fleet->name, "pid",
                     (int)k->state.pid, "began_wall_ms", (json_int_t)k->state.began_wall_ms,
                     "components", components(k), "devices", devices(k), "faults", faults(k));
    if (lab_check(k->lab, &err) < 0) {
        CLEANUP_BUF struct buf clean = BUF_INIT(64 * 1024);

        report_clean(&clean, err_text(err));
        json_object_set_new(data, "trouble", json_string(buf_str(&clean)));
    }
    keeper_server_status(k->server, data);
}
