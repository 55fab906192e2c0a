/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The rig's settings file; rig.yml.example shows all of it. Every key may be left out. The lab's
 * devices beat, tick and count as lost much sooner than in production (30 s, 30 s, 75 s), so that a
 * run takes seconds where it would take minutes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct settings {
    char *libvirt, *accel, *arch, *apiserver; /* NULL: not set, but for arch */
    bool cold;
    int cpus, memory_mb, disk_gb, keep_runs;
    int64_t heartbeat_ms, tick_ms, unreachable_after_ms, boot_timeout_ms;
};

/* `path` must exist when `needed`; else an absent file gives the defaults. */
int settings_load(const char *path, bool needed, struct settings **ret, struct err **err);
/* The same from memory. */
int settings_parse(const char *name, const char *text, size_t len, struct settings **ret,
                   struct err **err);
void settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free)
