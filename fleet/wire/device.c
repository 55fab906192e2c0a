/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/device.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "fleet/wire/fields.h"

#define INFO_MAX (64 * 1024)
#define STATE_MAX (4 * 1024)
#define HEARTBEAT_ACCEPT_MAX 256

#define LABEL_DEVICE_ID "device-id"

/*
 * DeviceInfo
 */
static const struct field inventory_fields[] = {
    FIELD_OPTIONAL(inventory, hostname, "hostname", field_line),
    FIELD_OPTIONAL(inventory, arch, "arch", field_line),
    FIELD_OPTIONAL(inventory, os, "os", field_line),
    FIELD_OPTIONAL(inventory, kernel, "kernel", field_line),
    FIELD_OPTIONAL(inventory, cpu_cores, "cpuCores", field_count),
    FIELD_OPTIONAL(inventory, memory_mb, "memoryMb", field_count),
    FIELD_OPTIONAL(inventory, agent_version, "agentVersion", field_line),
    { 0 },
};

static int decode_inventory(const json_t *value, void *dst, struct err **err)
{
    return fields_decode(value, inventory_fields, dst, err);
}

static json_t *encode_inventory(const void *src)
{
    return fields_encode(inventory_fields, src);
}

static void done_inventory(void *p)
{
    fields_done(inventory_fields, p);
}

static const struct field_type field_inventory = { decode_inventory, encode_inventory,
                                                   done_inventory };

static int decode_labels(const json_t *value, void *dst, struct err **err)
{
    return labels_decode(value, dst, err);
}

static json_t *encode_labels(const void *src)
{
    return labels_encode(src);
}

static void done_labels(void *p)
{
    labels_done(p);
}

static const struct field_type field_labels = { decode_labels, encode_labels, done_labels };

static const struct field info_fields[] = {
    FIELD(device_info, device_id, "device_id", field_device_id),
    FIELD_OPTIONAL(device_info, labels, "labels", field_labels),
    FIELD_OPTIONAL(device_info, inventory, "inventory", field_inventory),
    FIELD(device_info, updated_at_ms, "updated_at", field_time),
    { 0 },
};

/* A device that carried another's id as a label would be picked by that one's selectors. */
static int own_label(struct device_info *info, struct err **err)
{
    const char *id = labels_get(&info->labels, LABEL_DEVICE_ID);

    if (!id)
        labels_set(&info->labels, LABEL_DEVICE_ID, info->device_id);
    else if (!str_eq(id, info->device_id))
        return err_new(err, EINVAL,
                       "DeviceInfo: labels: " LABEL_DEVICE_ID " is %s on device %s: take this "
                       "label out of the agent's settings, the agent sets it",
                       QUOTE(id), QUOTE(info->device_id));
    return 0;
}

int device_info_decode(const char *data, size_t len, struct device_info *ret, struct err **err)
{
    __attribute__((cleanup(device_info_done))) struct device_info info = { 0 };

    if (message_decode("DeviceInfo", data, len, INFO_MAX, info_fields, &info, err) < 0 ||
        own_label(&info, err) < 0)
        return -EINVAL;
    *ret = info;
    info = (struct device_info){ 0 };
    return 0;
}

char *device_info_encode(const struct device_info *info)
{
    return message_encode(info_fields, info);
}

json_t *inventory_encode(const struct inventory *inv)
{
    return encode_inventory(inv);
}

void device_info_done(struct device_info *info)
{
    fields_done(info_fields, info);
}

/*
 * DeploymentState
 */
static const char *const phases[] = {
    [PHASE_PENDING] = "Pending",
    [PHASE_RUNNING] = "Running",
    [PHASE_FAILED] = "Failed",
};

const char *phase_text(enum phase phase)
{
    return phases[phase];
}

static int decode_phase(const json_t *value, void *dst, struct err **err)
{
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        if (str_eq(s, phases[i])) {
            *(enum phase *)dst = (enum phase)i;
            return 0;
        }
    }
    return err_new(err, EINVAL, "%s is unknown: known are Pending, Running and Failed", QUOTE(s));
}

static json_t *encode_phase(const void *src)
{
    return json_string(phase_text(*(const enum phase *)src));
}

static const struct field_type field_phase = { decode_phase, encode_phase, NULL };

/* Cut on the way in, too: it goes into a status that people read. */
static int decode_last_error(const json_t *value, void *dst, struct err **err)
{
    CLEANUP_JSON json_t *cut = NULL;
    const char *s = NULL;

    if (string_decode(value, &s, err) < 0)
        return -EINVAL;
    cut = string_encode(s, LAST_ERROR_MAX);
    replace_str(dst, *s ? json_string_value(cut) : NULL);
    return 0;
}

static json_t *encode_last_error(const void *src)
{
    const char *s = *(char *const *)src;

    return s && *s ? string_encode(s, LAST_ERROR_MAX) : NULL;
}

static void done_last_error(void *p)
{
    replace_str(p, NULL);
}

static const struct field_type field_last_error = { decode_last_error, encode_last_error,
                                                    done_last_error };

static const struct field state_fields[] = {
    FIELD(deployment_state, device_id, "device_id", field_device_id),
    FIELD(deployment_state, deployment, "deployment", field_deployment),
    FIELD(deployment_state, phase, "phase", field_phase),
    FIELD(deployment_state, last_event_at_ms, "last_event_at", field_time),
    FIELD_OPTIONAL(deployment_state, last_error, "last_error", field_last_error),
    { 0 },
};

int deployment_state_decode(const char *data, size_t len, struct deployment_state *ret,
                            struct err **err)
{
    __attribute__((cleanup(deployment_state_done))) struct deployment_state state = { 0 };

    if (message_decode("DeploymentState", data, len, STATE_MAX, state_fields, &state, err) < 0)
        return -EINVAL;
    *ret = state;
    state = (struct deployment_state){ 0 };
    return 0;
}

char *deployment_state_encode(const struct deployment_state *state)
{
    return message_encode(state_fields, state);
}

void deployment_state_done(struct deployment_state *state)
{
    fields_done(state_fields, state);
}

/*
 * Heartbeat
 */
static const struct field heartbeat_fields[] = {
    FIELD(heartbeat, device_id, "device_id", field_device_id),
    FIELD(heartbeat, at_ms, "at", field_time),
    FIELD_OPTIONAL(heartbeat, agent_version, "agent_version", field_line),
    { 0 },
};

int heartbeat_decode(const char *data, size_t len, struct heartbeat *ret, struct err **err)
{
    __attribute__((cleanup(heartbeat_done))) struct heartbeat hb = { 0 };

    if (message_decode("Heartbeat", data, len, HEARTBEAT_ACCEPT_MAX, heartbeat_fields, &hb, err) <
        0)
        return -EINVAL;
    *ret = hb;
    hb = (struct heartbeat){ 0 };
    return 0;
}

char *heartbeat_encode(const struct heartbeat *hb)
{
    CLEANUP_FREE char *whole = message_encode(heartbeat_fields, hb);
    struct heartbeat bare = *hb;

    if (strlen(whole) < HEARTBEAT_BYTES)
        return steal_ptr(whole);
    bare.agent_version = NULL;
    return message_encode(heartbeat_fields, &bare);
}

void heartbeat_done(struct heartbeat *hb)
{
    fields_done(heartbeat_fields, hb);
}
