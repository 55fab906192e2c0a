/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/agent/settings.h"

#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

static int load(const char *text, struct settings **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/agent.yml", check_tmpdir());

    need_ok(file_write(path, text, strlen(text), 0600, err), err ? *err : NULL);
    return settings_load(path, ret, err);
}

TEST(what_is_left_out_has_its_default)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(load("device_id: edge-1\nnats: { url: 'nats://h:4222' }\n", &s, &err), err);
    check_str(s->device_id, "edge-1");
    check_int(s->labels_count, 0);
    check_str(s->nats.url, "nats://h:4222");
    check_str(s->nats.user, NULL);
    check_str(s->podman_socket, "/run/podman/podman.sock");
    check_str(s->state_dir, "/var/lib/fleet-agent");
    check_int(s->heartbeat_ms, 30000);
    check_int(s->tick_ms, 30000);
    check_int(s->log_level, LOG_LEVEL_INFO);
}

TEST(everything_can_be_set)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(load("device_id: \"edge-1\"\nlabels:\n  - \"group=a\"\n  - \"site=x\"\n"
                 "nats:\n  url: \"tls://h:4222\"\n  user: u\n  password_file: /p\n  ca_file: /c\n"
                 "podman_socket: /s\nstate_dir: /d\nheartbeat: 1m\ntick: 500ms\nlog_level: error\n",
                 &s, &err),
            err);
    check_int(s->labels_count, 2);
    check_str(s->labels[1], "site=x");
    check_str(s->nats.user, "u");
    check_str(s->nats.password_file, "/p");
    check_str(s->nats.ca_file, "/c");
    check_str(s->podman_socket, "/s");
    check_str(s->state_dir, "/d");
    check_int(s->heartbeat_ms, 60000);
    check_int(s->tick_ms, 500);
    check_int(s->log_level, LOG_LEVEL_ERROR);
}

TEST(mistakes_are_named)
{
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        { "misspelt key", "device_id: a\nnats: { url: 'nats://h' }\nlables: []\n", "lables" },
        { "no device", "nats: { url: 'nats://h' }\n", "device_id" },
        { "no url", "device_id: a\nnats: { user: u }\n", "url" },
        { "another scheme", "device_id: a\nnats: { url: 'http://h' }\n",
          "neither nats:// nor tls://" },
        { "tick without a unit", "device_id: a\nnats: { url: 'nats://h' }\ntick: '5'\n", "tick" },
        { "tick too short", "device_id: a\nnats: { url: 'nats://h' }\ntick: 1ms\n", "between" },
        { "relative path", "device_id: a\nnats: { url: 'nats://h' }\nstate_dir: d\n",
          "'d' is not an absolute path" },
        { "unknown level", "device_id: a\nnats: { url: 'nats://h' }\nlog_level: loud\n",
          "log_level" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(settings_free) struct settings *s = NULL;
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", cases[i].name);
        check_true(load(cases[i].text, &s, &err) < 0);
        check_has(err_text(err), cases[i].error);
        check_has(err_text(err), "agent.yml");
    }
}

TEST(the_example_is_valid)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_ok(settings_load("fleet/agent/agent.yml.example", &s, &err), err);
}

CHECK_MAIN()
