/* SPDX-License-Identifier: AGPL-3.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/deploy/outcome.h"
#include "fleet/wire/names.h"

#define PROGRAM_MAX (64 * 1024 * 1024)
#define ARCHIVE_MAX (512 * 1024 * 1024)
#define SETTINGS_MAX (64 * 1024)
#define COMMAND_TIMEOUT_MS 120000

#define PROGRAM_PATH "/usr/bin/fleet-agent"
#define UNIT_PATH "/etc/systemd/system/fleet-agent.service"
#define SETTINGS_PATH "/etc/fleet-agent/agent.yml"
#define PASSWORD_PATH "/etc/fleet-agent/nats-password"
#define ARCHIVES_PATH "/var/lib/fleet-agent/archives"

static int run(const struct device_host *device, struct err **err, const char *const *argv)
{
    return device_run(device, argv, COMMAND_TIMEOUT_MS, NULL, err);
}
#define RUN(device, err, ...) run(device, err, (const char *const[]){ __VA_ARGS__, NULL })

static int copy(const struct device_host *device, const char *from, const char *to, size_t max,
                mode_t mode, bool *changed, struct err **err)
{
    CLEANUP_FREE char *data = NULL;
    size_t len;
    int r = file_read(from, max, &data, &len, err);

    if (r < 0)
        return r;
    return device->put_file(device->impl, to, data, len, mode, changed, err);
}

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

/* An archive is loaded once: the marker beside it bears its size and time, so a changed archive, or
 * one whose loading was cut short, is loaded again. */
static int side_load(const struct device_host *device, const char *archive, bool *changed,
                     struct err **err)
{
    const char *slash = strrchr(archive, '/');
    CLEANUP_FREE char *remote = xasprintf(ARCHIVES_PATH "/%s", slash ? slash + 1 : archive);
    CLEANUP_FREE char *marker = NULL;
    struct stat st;
    bool missing = false;

    if (stat(archive, &st) < 0)
        return err_errno(err, errno, "container archive %s", archive);
    marker = xasprintf("%s.%lld-%lld.loaded", remote, (long long)st.st_size,
                       (long long)st.st_mtim.tv_sec);
    if (copy(device, archive, remote, ARCHIVE_MAX, 0644, &missing, err) < 0)
        return err_wrap(err, "copying %s", archive);
    if (!missing) {
        const char *const there[] = { "test", "-e", marker, NULL };
        int status = 1;

        if (device->run(device->impl, there, COMMAND_TIMEOUT_MS, &status, NULL, err) < 0)
            return err_wrap(err, "looking for %s", marker);
        missing = status != 0;
    }
    if (!missing)
        return 0;
    if (RUN(device, err, "podman", "load", "--quiet", "--input", remote) < 0 ||
        RUN(device, err, "touch", marker) < 0)
        return err_wrap(err, "side-loading %s", archive);
    *changed = true;
    return 0;
}

static int install(const struct agent_score *score, const struct device_host *device,
                   bool *ret_changed, struct err **err)
{
    CLEANUP_BUF struct buf conf = BUF_INIT(SETTINGS_MAX);
    bool program = false, unit = false, password = false, configured = false, images = false;

    if (settings(score, &conf, err) < 0 ||
        RUN(device, err, "mkdir", "-p", "/etc/fleet-agent", ARCHIVES_PATH) < 0)
        return err_wrap(err, "settings");
    for (size_t i = 0; score->image_archives && score->image_archives[i]; i++)
        if (side_load(device, score->image_archives[i], &images, err) < 0)
            return err_wrap(err, "images");
    if (copy(device, score->program, PROGRAM_PATH, PROGRAM_MAX, 0755, &program, err) < 0 ||
        copy(device, score->unit, UNIT_PATH, SETTINGS_MAX, 0644, &unit, err) < 0 ||
        device->put_file(device->impl, PASSWORD_PATH, score->nats_password,
                         strlen(score->nats_password), 0600, &password, err) < 0 ||
        device->put_file(device->impl, SETTINGS_PATH, conf.data, conf.len, 0644, &configured, err) <
                0)
        return err_wrap(err, "files");
    if (unit && RUN(device, err, "systemctl", "daemon-reload") < 0)
        return err_wrap(err, "service");
    if (RUN(device, err, "systemctl", "enable", "--quiet", "--now", "podman.socket",
            "fleet-agent.service") < 0)
        return err_wrap(err, "service");
    if ((program || unit || password || configured) &&
        (RUN(device, err, "systemctl", "restart", "fleet-agent.service") < 0 ||
         RUN(device, err, "sync") < 0))
        return err_wrap(err, "service");
    *ret_changed = program || unit || password || configured || images;
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
