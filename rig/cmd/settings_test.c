/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/settings.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

TEST(without_a_file_there_are_defaults)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(settings_load("/nowhere/rig.yml", /* needed= */ false, &s, &err), err);
    check_str(s->arch, "x86_64");
    check_str(s->libvirt, NULL);
    check_str(s->accel, NULL);
    check_int(s->cpus, 2);
    check_int(s->keep_runs, 20);
    check_int(s->heartbeat_ms, 2000);
    check_int(s->tick_ms, 5000);
    check_int(s->unreachable_after_ms, 6000);
}

TEST(the_example_shows_the_defaults)
{
    CLEANUP(settings_free) struct settings *s = NULL, *defaults = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(settings_load("rig/cmd/rig.yml.example", /* needed= */ true, &s, &err), err);
    need_ok(settings_parse("none", "", 0, &defaults, &err), err);
    check_str(s->arch, defaults->arch);
    check_int(s->cpus, defaults->cpus);
    check_int(s->memory_mb, defaults->memory_mb);
    check_int(s->disk_gb, defaults->disk_gb);
    check_int(s->keep_runs, defaults->keep_runs);
    check_int(s->heartbeat_ms, defaults->heartbeat_ms);
    check_int(s->tick_ms, defaults->tick_ms);
    check_int(s->unreachable_after_ms, defaults->unreachable_after_ms);
    check_int(s->boot_timeout_ms, defaults->boot_timeout_ms);
}

TEST(a_file_that_was_named_must_exist)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    check_int(settings_load("/nowhere/rig.yml", /* needed= */ true, &s, &err), -ENOENT);
    check_has(err_text(err), "/nowhere/rig.yml");
}

TEST(every_key_is_read)
{
    static const char text[] =
            "libvirt: private\naccel: tcg\narch: aarch64\napiserver: /a\n"
            "cpus: 4\nmemory_mb: 2048\ndisk_gb: 9\nkeep_runs: 3\n"
            "heartbeat: 1s\ntick: 3s\nunreachable_after: 4s\nboot_timeout: 30m\n";
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(settings_parse("rig.yml", text, strlen(text), &s, &err), err);
    check_str(s->libvirt, "private");
    check_str(s->accel, "tcg");
    check_str(s->arch, "aarch64");
    check_str(s->apiserver, "/a");
    check_int(s->cpus, 4);
    check_int(s->memory_mb, 2048);
    check_int(s->disk_gb, 9);
    check_int(s->keep_runs, 3);
    check_int(s->heartbeat_ms, 1000);
    check_int(s->tick_ms, 3000);
    check_int(s->unreachable_after_ms, 4000);
    check_int(s->boot_timeout_ms, 1800000);
}

TEST(bad_settings_are_refused_by_name)
{
    static const struct {
        const char *text, *error;
    } table[] = {
        { "acel: tcg\n", "acel" },
        { "accel: hvf\n", "rig.yml: accel must be kvm or tcg, not 'hvf'" },
        { "arch: sparc\n", "rig.yml: arch must be x86_64 or aarch64, not 'sparc'" },
        { "cpus: 65\n", "rig.yml: cpus must be from 1 to 64, not 65" },
        { "cpus: -1\n", "rig.yml: cpus must be from 1 to 64, not -1" },
        { "cpus: many\n", "cpus" },
        { "heartbeat: 2\n", "rig.yml: heartbeat: " },
        { "tick: 0s\n", "rig.yml: tick must be longer than 0s" },
        { "unreachable_after: 2s\n", "rig.yml: unreachable_after must be longer than heartbeat" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(settings_free) struct settings *s = NULL;
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", table[i].text);
        check_true(settings_parse("rig.yml", table[i].text, strlen(table[i].text), &s, &err) < 0);
        check_has(err_text(err), table[i].error);
        check_true(s == NULL);
    }
}

CHECK_MAIN()
