/* SPDX-License-Identifier: AGPL-3.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/outcome.h"
#include "fleet/wire/names.h"

#define PROGRAM_MAX (64 * 1024 * 1024)
#define SETTINGS_MAX (64 * 1024)
#define COMMAND_TIMEOUT_MS 120000

#define PROGRAM_PATH "/usr/bin/fleet-agent"
#define UNIT_PATH "/etc/systemd/system/fleet-agent.service"
#define SETTINGS_PATH "/etc/fleet-agent/agent.yml"
#define PASSWORD_PATH "/etc/fleet-agent/nats-password"

/* Every value stands in double quotes; ids and labels were checked to hold nothing to escape. */
static int settings(const struct agent_score *score, struct buf *out, struct err **err)
{
    if (device_id_check(score->device_id, err) < 0)
        return err_wrap(err, "device id");
    buf_addf(out, "device_id: \"%s\"\n", score->device_id);
    if (score->labels && score->labels[0])
        buf_adds(out, "labels:\n");
    for (size_t i = 0; score->labels && score->labels[i]; i++) {
        if (strpbrk(score->labels[i], "\"\\\n\r"))
            return err_new(err, EINVAL, "label '%s': quotes and line ends are not allowed",
                           score->labels[i]);
        buf_addf(out, "  - \"%s\"\n", score->labels[i]);
    }
    buf_addf(out, "nats:\n  url: \"%s\"\n  user: \"%s\"\n  password_file: \"" PASSWORD_PATH "\"\n",
             score->nats_url, score->nats_user);
    if (score->heartbeat_ms)
        buf_addf(out, "heartbeat: %lldms\n", (long long)score->heartbeat_ms);
    if (score->tick_ms)
        buf_addf(out, "tick: %lldms\n", (long long)score->tick_ms);
    buf_addf(out, "log_level: %s\n", score->log_level ? score->log_level : "info");
    if (out->overflow)
        return err_new(err, E2BIG, "the settings of %s are too long", score->device_id);
    return 0;
}

/* What goes to the device, with the memory behind it. */
struct cargo {
    struct host_file *files;
    size_t n, cap;
    char **paths; /* strv: the remote paths */
    char **data;  /* contents that were read from local files */
    size_t n_data, cap_data;
};

static void cargo_done(struct cargo *c)
{
    for (size_t i = 0; i < c->n_data; i++)
        free(c->data[i]);
    free(c->data);
    free(c->files);
    strv_free(c->paths);
}

static void cargo_add(struct cargo *c, const char *path, const void *data, size_t len, mode_t mode)
{
    strv_add(&c->paths, path);
    c->files = grow(c->files, c->n, &c->cap, sizeof(*c->files));
    c->files[c->n] = (struct host_file){ c->paths[c->n], data, len, mode, false };
    c->n++;
}

static int cargo_load(struct cargo *c, const char *path, const char *from, size_t max, mode_t mode,
                      struct err **err)
{
    char *data = NULL;
    size_t len = 0;
    int r = file_read(from, max, &data, &len, err);

    if (r < 0)
        return r;
    c->data = grow(c->data, c->n_data, &c->cap_data, sizeof(*c->data));
    c->data[c->n_data++] = data;
    cargo_add(c, path, data, len, mode);
    return 0;
}

static int pack(const struct agent_score *score, const char *conf, size_t len, struct cargo *c,
                struct err **err)
{
    if (cargo_load(c, PROGRAM_PATH, score->program, PROGRAM_MAX, 0755, err) < 0 ||
        cargo_load(c, UNIT_PATH, score->unit, SETTINGS_MAX, 0644, err) < 0)
        return -EIO;
    cargo_add(c, PASSWORD_PATH, score->nats_password, strlen(score->nats_password), 0600);
    cargo_add(c, SETTINGS_PATH, conf, len, 0644);
    return 0;
}

/* One that failed before is started even if nothing changed. */
static const char *const keep[] = { "systemctl", "enable",        "--quiet",
                                    "--now",     "podman.socket", "fleet-agent.service",
                                    NULL };
/* Reading all units anew takes a second on a slow device, and a unit that systemd has not seen yet does
 * not need it. */
static const char *const restart_it[] = {
    "sh", "-c",
    "systemctl enable --quiet --no-reload podman.socket fleet-agent.service || exit;"
    " [ \"$(systemctl show -P NeedDaemonReload fleet-agent.service)\" = no ] ||"
    " systemctl daemon-reload || exit;"
    " systemctl restart fleet-agent.service && sync",
    NULL
};

static int install(const struct agent_score *score, const struct device_host *device,
                   bool *ret_changed, struct err **err)
{
    __attribute__((cleanup(cargo_done))) struct cargo cargo = { 0 };
    CLEANUP_BUF struct buf conf = BUF_INIT(SETTINGS_MAX);
    bool restart = false, loaded = false;

    if (settings(score, &conf, err) < 0 || pack(score, conf.data, conf.len, &cargo, err) < 0 ||
        device->put_files(device->impl, cargo.files, cargo.n, err) < 0)
        return err_wrap(err, "files");
    if (score->image_archives && images_side_load(score->image_archives, device, &loaded, err) < 0)
        return -EIO;
    for (size_t i = 0; i < cargo.n; i++)
        restart |= cargo.files[i].changed;
    if (device_run(device, restart ? restart_it : keep, COMMAND_TIMEOUT_MS, NULL, err) < 0)
        return err_wrap(err, "service");
    *ret_changed = restart || loaded;
    return 0;
}

struct pulse {
    struct bus *bus;
    char key[KEY_MAX];
    uint64_t before; /* revision of the last heartbeat from before the deployment */
};

static int look_heartbeat(void *userdata, struct err **err)
{
    struct pulse *p = userdata;
    struct bus_entry entry = { 0 };
    CLEANUP_ERR struct err *why = NULL;
    int r = bus_get(p->bus, BUCKET_DEVICE_HEARTBEAT, p->key, 2000, &entry, &why);
    uint64_t revision = entry.revision;

    bus_entry_done(&entry);
    if (r == 0 && revision > p->before)
        return 1;
    if (r < 0 && r != -ENOENT)
        return err_new(err, EAGAIN, "%s", err_text(why));
    return err_new(err, EAGAIN, "no heartbeat of the device has arrived");
}

static int smoke(const struct device_host *device, struct pulse *p, int64_t timeout_ms,
                 struct err **err)
{
    static const char *const journal[] = { "journalctl", "--unit",   "fleet-agent", "--lines", "8",
                                           "--no-pager", "--output", "cat",         NULL };
    CLEANUP_ERR struct err *ignored = NULL;
    CLEANUP_FREE char *words = NULL;
    int status;

    if (outcome_await(timeout_ms, look_heartbeat, p, err) == 0)
        return 0;
    if (device->run(device->impl, journal, COMMAND_TIMEOUT_MS, &status, &words, &ignored) == 0)
        err_hint(err, "last words of fleet-agent on the device:\n%s", words);
    return err_wrap(err, "smoke test");
}

int agent_score_deploy(const struct agent_score *score, const struct device_host *device,
                       struct bus *bus, int64_t timeout_ms, struct outcome *ret, struct err **err)
{
    struct pulse p = { .bus = bus };
    struct bus_entry entry = { 0 };
    CLEANUP_ERR struct err *none = NULL;
    bool changed = false;

    if (device_id_check(score->device_id, err) < 0)
        return err_wrap(err, "agent: device id");
    key_heartbeat(p.key, score->device_id);
    if (bus_get(bus, BUCKET_DEVICE_HEARTBEAT, p.key, 5000, &entry, &none) == 0)
        p.before = entry.revision;
    bus_entry_done(&entry);
    if (install(score, device, &changed, err) < 0 || smoke(device, &p, timeout_ms, err) < 0)
        return err_wrap(err, "agent of %s", score->device_id);
    outcome_set(ret, changed, "%s beats, seen by the server", score->device_id);
    return 0;
}
