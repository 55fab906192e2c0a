/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What a device says of itself: DeviceInfo, DeploymentState and Heartbeat. Unknown members are
 * ignored, missing optional ones default. Times are RFC 3339 UTC on the wire and milliseconds since
 * 1970 here. Encoders write compact JSON with members in the order of the structs: golden files pin
 * the bytes. Caps: 64 KiB a DeviceInfo, 4 KiB a state, 256 bytes a heartbeat. What is not UTF-8 in
 * a struct is written as U+FFFD.
 *
 * Decoders leave `ret` alone on failure; `_done` frees what a decoder filled and may come twice.
 */

#include <stdint.h>

#include "fleet/wire/labels.h"
#include "fleet/wire/names.h"

#define LAST_ERROR_MAX 512 /* characters (UTF-8 code points) of DeploymentState.last_error */

struct inventory {
    char *hostname, *arch, *os, *kernel; /* NULL when unknown */
    int cpu_cores;                       /* 0 when unknown */
    int memory_mb;                       /* 0 when unknown */
    char *agent_version;
};

struct device_info {
    char *device_id;
    struct labels labels; /* the decoder adds device-id=<id> when absent and refuses another id */
    struct inventory inventory;
    int64_t updated_at_ms;
};

int device_info_decode(const char *data, size_t len, struct device_info *ret, struct err **err);
/* NUL-terminated JSON; the caller frees it. */
char *device_info_encode(const struct device_info *info);
/* The inventory as in the Device resource's spec.inventory. New reference. */
json_t *inventory_encode(const struct inventory *inv);
void device_info_done(struct device_info *info);

enum phase { PHASE_PENDING, PHASE_RUNNING, PHASE_FAILED };
const char *phase_text(enum phase phase); /* "Pending", "Running", "Failed" */

struct deployment_state {
    char *device_id;
    char *deployment;
    enum phase phase;
    int64_t last_event_at_ms;
    char *last_error; /* NULL when none */
};

int deployment_state_decode(const char *data, size_t len, struct deployment_state *ret,
                            struct err **err);
/* Cuts last_error to LAST_ERROR_MAX. The caller frees it. */
char *deployment_state_encode(const struct deployment_state *state);
void deployment_state_done(struct deployment_state *state);

struct heartbeat {
    char *device_id;
    int64_t at_ms;
    char *agent_version; /* NULL when absent */
};

#define HEARTBEAT_BYTES 96

int heartbeat_decode(const char *data, size_t len, struct heartbeat *ret, struct err **err);
/* Leaves agent_version out where it would not stay under HEARTBEAT_BYTES (the rest alone does for
 * device ids of up to 51 bytes; longer ones go over it). The caller frees it. */
char *heartbeat_encode(const struct heartbeat *hb);
void heartbeat_done(struct heartbeat *hb);
