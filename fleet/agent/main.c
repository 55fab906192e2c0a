/* SPDX-License-Identifier: AGPL-3.0-only */

/* fleet-agent: options and wiring. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/verbs.h"
#include "fleet/agent/act.h"
#include "fleet/agent/settings.h"
#include "fleet/link/http.h"

#define EXIT_USAGE 2
#define PROBE_TIMEOUT_MS 10000

static int complain(const struct err *err)
{
    CLEANUP_FREE char *text = err_text_full(err);

    log_error("%s", text);
    return EXIT_FAILURE;
}

/* The settings, with everything in them that can be checked without looking at the machine. */
static int load(const struct verbs_args *args, struct settings **ret, struct err **err)
{
    const char *path = verbs_value(args, "config");
    __attribute__((cleanup(labels_done))) struct labels labels = { 0 };
    CLEANUP(settings_free) struct settings *s = NULL;
    int r = settings_load(path ? path : SETTINGS_PATH, &s, err);

    if (r >= 0)
        r = agent_labels(s, &labels, err);
    if (r < 0)
        return r;
    *ret = steal_ptr(s);
    return 0;
}

/* --- self test ------------------------------------------------------------------------------ */

static int probe_podman(const struct settings *s, struct err **err)
{
    struct http_peer peer = { .base_url = (char *)"http://d", .unix_socket = s->podman_socket };
    struct http_request request = { .method = "GET",
                                    .path = "/v5.0.0/libpod/_ping",
                                    .timeout_ms = PROBE_TIMEOUT_MS };
    long status = 0;

    if (http_call(&peer, &request, &status, NULL, NULL, err) < 0)
        return err_wrap(err, "podman at %s", s->podman_socket);
    if (status != 200)
        return err_new(err, EPROTO, "podman at %s: HTTP status %ld", s->podman_socket, status);
    return 0;
}

static int probe_state_dir(const struct settings *s, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/self-test", s->state_dir);

    if (dir_make(s->state_dir, 0700, err) < 0 || file_replace(path, "", 0, 0600, err) < 0)
        return err_wrap(err, "state folder %s", s->state_dir);
    unlink(path);
    return 0;
}

static int self_test(const struct settings *s)
{
    static const struct {
        const char *what;
        int (*probe)(const struct settings *s, struct err **err);
    } probes[] = {
        { "podman answers", probe_podman },
        { "the state folder can be written", probe_state_dir },
    };
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        CLEANUP_ERR struct err *err = NULL;

        if (probes[i].probe(s, &err) >= 0) {
            printf("ok: %s\n", probes[i].what);
            continue;
        }
        printf("failed: %s: %s\n", probes[i].what, err_text(err));
        code = EXIT_FAILURE;
    }
    return code;
}

/* --- the daemon ----------------------------------------------------------------------------- */

static int serve(const struct settings *s, struct err **err)
{
    __attribute__((cleanup(sd_event_unrefp))) sd_event *loop = NULL;
    CLEANUP(agent_free) struct agent *agent = NULL;
    int r = sd_event_new(&loop);

    if (r >= 0)
        r = sd_event_set_watchdog(loop, true);
    /* Without a handler of ours these end the loop. They are blocked in main(), before any thread. */
    if (r >= 0)
        r = sd_event_add_signal(loop, NULL, SIGTERM, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(loop, NULL, SIGINT, NULL, NULL);
    if (r < 0)
        return err_errno(err, -r, "making an event loop");
    r = agent_new(s, loop, &agent, err);
    if (r < 0)
        return r;
    log_info("fleet-agent " FLEETRIG_VERSION " of device %s is up", s->device_id);
    sd_notify(0, "READY=1");
    r = sd_event_loop(loop);
    sd_notify(0, "STOPPING=1");
    log_info("stopping; containers go on");
    return r < 0 ? err_errno(err, -r, "the event loop") : 0;
}

static int run(const struct verbs_args *args, void *userdata)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;
    sigset_t signals;

    (void)userdata;
    if (load(args, &s, &err) < 0) {
        complain(err);
        return EXIT_USAGE;
    }
    if (verbs_flag(args, "check")) {
        printf("ok\n");
        return EXIT_SUCCESS;
    }
    log_set_level(s->log_level);
    if (verbs_flag(args, "self-test"))
        return self_test(s);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return serve(s, &err) < 0 ? complain(err) : EXIT_SUCCESS;
}

static const struct verbs_option options[] = {
    { "config", 'c', "FILE", "settings file; default: " SETTINGS_PATH, NULL },
    { "check", 0, NULL, "only say what is wrong with the settings", NULL },
    { "self-test", 0, NULL, "only say whether this binary could run here", NULL },
    { 0 },
};

static const struct verbs_command commands[] = {
    { .name = "",
      .arguments = "",
      .help = "",
      .details = "Watches what this device shall run, keeps its podman containers so, and reports. "
                 "Workloads are started from a durable copy, without a network too.",
      .options = options,
      .complete = "none",
      .run = run },
    { 0 },
};

int main(int argc, char **argv)
{
    static const struct verbs_program program = {
        .name = "fleet-agent",
        .version = FLEETRIG_VERSION,
        .summary = "Keeps the containers of a device as desired",
        .exit_codes = "0  ended by a signal, or the check or self-test passed\n"
                      "1  could not start, or the self-test failed\n"
                      "2  usage or bad settings",
        .commands = commands,
    };

    return verbs_main(&program, argc, argv, NULL);
}
