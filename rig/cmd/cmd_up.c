/* SPDX-License-Identifier: AGPL-3.0-only */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/labels.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_heal.h"
#include "rig/cmd/fleet_text.h"
#include "rig/cmd/keeper.h"
#include "rig/cmd/options.h"
#include "rig/cmd/schedule.h"
#include "rig/cmd/signals.h"
#include "rig/lab/host.h"

#define DEVICES 2 /* where no other number is given */
#define OBTAIN_MS 60000
#define POLL_MS 50
#define SUMMARY_MAX (256 * 1024)

const struct verbs_option cmd_up_options[] = {
    { "devices", 'n', "N", "how many, edge-1 to edge-N (2)", NULL },
    { "labels", 'l', "KEY=VALUE,...", "of every device; otherwise group=a and group=b by turns",
      NULL },
    { "deploy", 'd', "FILE", "apply this manifest once the fleet is up; may be given again", NULL },
    FLEET_OPTION,
    { "control-plane", 0, "KIND", "what the fleet is run from", "embedded" },
    { "arch", 0, "ARCH", "machine type of the devices", "x86_64|aarch64" },
    { "libvirt", 0, "URI", "a libvirt daemon, or 'private' for one of the rig's own", NULL },
    { "accel", 0, "ACCEL", "how machines are run; otherwise a boot probe decides", "kvm|tcg" },
    { "cold", 0, NULL, "boot each device, in place of restoring it from a snapshot", NULL },
    { "config", 'c', "FILE", "settings file, instead of ~/.config/fleetrig/rig.yml", NULL },
    { 0 },
};

struct up {
    const struct verbs_args *args;
    struct fleet_cmd cmd;
    struct settings *settings;
    const volatile sig_atomic_t *stop;
    struct lab_device *devices; /* as asked for */
    size_t n_devices;
    char **names, **labels; /* strv */
};

/* --- What is asked for ----------------------------------------------------------------------- */

static bool read_count(const char *text, size_t *ret)
{
    unsigned n = 0;
    int end = 0;

    if (sscanf(text, "%3u%n", &n, &end) != 1 || text[end] || n < 1 || n > FLEET_DEVICES_MAX) {
        fprintf(stderr, "--devices must be a number from 1 to %d, not '%s'\n", FLEET_DEVICES_MAX,
                text);
        return false;
    }
    *ret = n;
    return true;
}

static bool read_labels(struct up *u)
{
    const char *text = verbs_value(u->args, "labels");

    if (!text)
        return true;
    u->labels = strv_split(text, ",");
    for (char **label = u->labels; label && *label; label++) {
        const char *equals = strchr(*label, '=');
        CLEANUP_FREE char *key = xstrndup(*label, equals ? (size_t)(equals - *label) : 0);
        CLEANUP_ERR struct err *err = NULL;

        if (equals && label_check(key, equals + 1, &err) >= 0)
            continue;
        fprintf(stderr, "--labels: '%s': %s\n", *label, err ? err_text(err) : "not KEY=VALUE");
        return false;
    }
    return true;
}

static void make_devices(struct up *u)
{
    static const char *const groups[][2] = { { "group=a", NULL }, { "group=b", NULL } };

    u->devices = xcalloc(u->n_devices, sizeof(*u->devices));
    for (size_t i = 0; i < u->n_devices; i++) {
        strv_addf(&u->names, "edge-%zu", i + 1);
        u->devices[i].labels =
                u->labels ? (const char *const *)u->labels : groups[i % ARRAY_LEN(groups)];
    }
    for (size_t i = 0; i < u->n_devices; i++)
        u->devices[i].name = u->names[i];
}

/* Absolute paths of what is to be deployed; all of it is there. */
static bool read_deploy(const struct up *u, char ***ret)
{
    CLEANUP_STRV char **files = verbs_values(u->args, "deploy");

    for (char **file = files; file && *file; file++) {
        CLEANUP_FREE char *path = realpath(*file, NULL);

        if (!path || strpbrk(path, "\"\n")) {
            fprintf(stderr, "--deploy %s: %s\n", *file,
                    path ? "its name cannot stand in a sentence" : strerror(errno));
            return false;
        }
        strv_add(ret, path);
    }
    return true;
}

static int read_request(struct up *u, char ***ret_deploy)
{
    const char *count = verbs_value(u->args, "devices");
    CLEANUP_ERR struct err *err = NULL;
    int code = fleet_cmd_open(u->args, &u->cmd);

    if (code)
        return code;
    u->n_devices = DEVICES;
    if ((count && !read_count(count, &u->n_devices)) || !read_labels(u) ||
        !read_deploy(u, ret_deploy))
        return RIG_USAGE;
    if (options_settings(u->args, u->cmd.place, &u->settings, &err) < 0)
        return fleet_cmd_error(RIG_USAGE, err);
    make_devices(u);
    return 0;
}

static void up_done(struct up *u)
{
    fleet_cmd_done(&u->cmd);
    settings_free(u->settings);
    free(u->devices);
    strv_free(u->names);
    strv_free(u->labels);
}

/* --- A fleet, ours or one that is there ------------------------------------------------------ */

static int start(struct up *u, struct err **err)
{
    const struct keeper_config config = {
        .place = u->cmd.place,
        .settings = u->settings,
        .fleet = u->cmd.fleet,
        .devices = u->devices,
        .n_devices = u->n_devices,
    };
    const struct schedule_host host = { .memory_mb = host_memory_mb() };
    int r;

    if ((r = fleet_heal(u->cmd.fleet, NULL, NULL, err)) < 0)
        return r;
    if ((r = schedule_check(&host, u->n_devices, u->settings->memory_mb, err)) < 0) {
        fleet_remove(u->cmd.fleet, NULL);
        return r;
    }
    return keeper_start(&config, err);
}

/* Of two at once one gets the lock, and the other waits until that one's keeper listens. */
static int obtain(struct up *u, bool *ret_owner, struct err **err)
{
    int64_t deadline = clock_mono_ms() + OBTAIN_MS;
    CLEANUP_ERR struct err *last = NULL;

    for (;;) {
        CLEANUP_CLOSE int fd = -1;
        int r = fleet_lock(u->cmd.fleet, err);

        *ret_owner = r > 0;
        if (r != 0)
            return r < 0 ? r : start(u, err);
        if (fleet_connect(u->cmd.fleet, &fd, &last) >= 0)
            return 0;
        if (*u->stop)
            return err_new(err, ECANCELED, "interrupted");
        if (clock_mono_ms() >= deadline) {
            err_new(err, ETIMEDOUT, "the keeper of fleet %s does not listen: %s",
                    u->cmd.fleet->name, err_text(last));
            return err_hint(err, "rig down ends it");
        }
        poll(NULL, 0, POLL_MS);
    }
}

/* The same devices as are asked for, as far as something was said about them. */
static bool same_devices(const struct up *u)
{
    const struct fleet_state *s = &u->cmd.state;
    bool same = !verbs_value(u->args, "devices") || s->n_devices == u->n_devices;

    if (!same) {
        fprintf(stderr,
                "the fleet %s is up with %zu device%s, not %zu: nothing was changed\n"
                "rig down takes it down, then rig up makes one with %zu\n",
                u->cmd.fleet->name, s->n_devices, s->n_devices == 1 ? "" : "s", u->n_devices,
                u->n_devices);
        return false;
    }
    for (size_t i = 0; u->labels && i < s->n_devices; i++) {
        CLEANUP_FREE char *have = strv_join(s->devices[i].labels, ","),
                          *want = strv_join(u->labels, ",");

        if (str_eq(have, want))
            continue;
        fprintf(stderr, "%s of the fleet %s has the labels %s, not %s: nothing was changed\n",
                s->devices[i].name, u->cmd.fleet->name, have, want);
        return false;
    }
    return true;
}

/* Waits until it is up. RIG_PASSED and the state, or what is wrong was printed. */
static int wait_up(struct up *u, bool owner)
{
    const struct request request = { .ask = ASK_WAIT, .owner = owner };
    CLEANUP_ERR struct err *err = NULL;
    int code = fleet_cmd_ask(&u->cmd, &request, stderr, NULL);

    if (code == RIG_PASSED && fleet_need(u->cmd.fleet, &u->cmd.state, &err) < 0)
        return fleet_cmd_error(RIG_USAGE, err);
    return code;
}

static int bring_up(struct up *u)
{
    for (;;) {
        CLEANUP_ERR struct err *err = NULL;
        bool owner = false;
        int code;

        if (obtain(u, &owner, &err) < 0)
            return fleet_cmd_error(err_code(err) == ECANCELED ? RIG_INT : RIG_NO_LAB, err);
        code = wait_up(u, owner);
        /* Whoever began it was interrupted, and took it down: then it is ours to make. */
        if (code == RIG_INT && !owner && !*u->stop)
            continue;
        if (code == RIG_PASSED && !owner && !same_devices(u))
            return RIG_USAGE;
        if (code == RIG_INT) /* without a signal of ours somebody else took it down */
            code = !signals_first() ? RIG_FAILED : signals_first() == SIGINT ? RIG_INT : RIG_TERM;
        return code;
    }
}

static int deploy(const struct up *u, char *const *files)
{
    int code = RIG_PASSED;

    for (; files && *files && code == RIG_PASSED; files++) {
        CLEANUP_FREE char *sentence = xasprintf("apply \"%s\"", *files);
        const struct request request = { .ask = ASK_DO,
                                         .sentence = sentence,
                                         .folder = (char[]){ "/" } };

        code = fleet_cmd_ask(&u->cmd, &request, stderr, NULL);
    }
    return code;
}

int cmd_up(const struct verbs_args *args, void *userdata)
{
    __attribute__((cleanup(up_done))) struct up u = { .args = args, .stop = signals_catch() };
    CLEANUP_BUF struct buf summary = BUF_INIT(SUMMARY_MAX);
    CLEANUP_STRV char **files = NULL;
    int code;

    (void)userdata;
    if ((code = read_request(&u, &files)) || (code = bring_up(&u)) || (code = deploy(&u, files)))
        return code;
    fleet_summary(u.cmd.fleet->name, &u.cmd.state, &summary);
    fputs(buf_str(&summary), stdout);
    return RIG_PASSED;
}
