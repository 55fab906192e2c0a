/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/device.h"

#include <string.h>

#include "fleet/wire/bad.h"

#define TESTDATA "fleet/wire/testdata/"
#define AT_MS INT64_C(1776795342000) /* 2026-04-21T18:15:42Z */
#define LABEL_63 "a123456789b123456789c123456789d123456789e123456789f123456789012"

/*
 * Golden messages: written by hand, ended by a newline that is not part of the message.
 */
static char *golden(const char *name)
{
    CLEANUP_FREE char *path = xasprintf(TESTDATA "%s.json", name);
    char *text = check_read(path, NULL);

    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* What a newer writer would send. */
static char *with_unknown_member(const char *text)
{
    return xasprintf("{\"unknown\":{\"a\":[null]},%s", text + 1);
}

#define DECODE_NEWER(name, text, decode, ret)                                                      \
    do {                                                                                           \
        CLEANUP_FREE char *newer_ = with_unknown_member(text);                                     \
        CLEANUP_ERR struct err *err_ = NULL;                                                       \
                                                                                                   \
        check_case("%s with an unknown member", name);                                             \
        check_ok(decode(newer_, strlen(newer_), ret, &err_), err_);                                \
    } while (0)

TEST(device_info_is_written_as_the_golden_message)
{
    CLEANUP_FREE char *text = golden("device-info"), *again = NULL, *newer = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct device_info info = { 0 }, later = { 0 };

    need_ok(device_info_decode(text, strlen(text), &info, &err), err);
    check_str(info.device_id, "edge-1");
    check_int((int64_t)info.labels.n, 2);
    check_str(labels_get(&info.labels, "device-id"), "edge-1");
    check_str(labels_get(&info.labels, "group"), "a");
    check_str(info.inventory.hostname, "edge-1");
    check_str(info.inventory.arch, "aarch64");
    check_str(info.inventory.os, "Debian GNU/Linux 13 (trixie)");
    check_str(info.inventory.kernel, "6.12.107+deb13-cloud-arm64");
    check_int(info.inventory.cpu_cores, 2);
    check_int(info.inventory.memory_mb, 1024);
    check_str(info.inventory.agent_version, "0.1.0");
    check_int(info.updated_at_ms, AT_MS);
    again = device_info_encode(&info);
    check_str(again, text);
    DECODE_NEWER("device-info", text, device_info_decode, &later);
    newer = device_info_encode(&later);
    check_str(newer, text);
    device_info_done(&info);
    device_info_done(&later);
}

TEST(a_minimal_device_info_has_defaults)
{
    static const char text[] = "{\"device_id\":\"edge-1\",\"inventory\":null,"
                               "\"updated_at\":\"2026-04-21T20:15:42.5+02:00\"}";
    CLEANUP_FREE char *again = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct device_info info = { 0 };

    need_ok(device_info_decode(text, strlen(text), &info, &err), err);
    check_str(labels_get(&info.labels, "device-id"), "edge-1");
    check_str(info.inventory.hostname, NULL);
    check_int(info.inventory.cpu_cores, 0);
    check_int(info.updated_at_ms, AT_MS + 500);
    again = device_info_encode(&info);
    check_str(again, "{\"device_id\":\"edge-1\",\"labels\":{\"device-id\":\"edge-1\"},"
                     "\"inventory\":{},\"updated_at\":\"2026-04-21T18:15:42Z\"}");
    device_info_done(&info);
}

TEST(an_inventory_is_written_as_the_resource_has_it)
{
    struct inventory inv = { .hostname = (char[]){ "e" }, .cpu_cores = 4, .memory_mb = 8 };
    CLEANUP_JSON json_t *object = inventory_encode(&inv);
    CLEANUP_FREE char *text = json_text(object);

    check_str(text, "{\"hostname\":\"e\",\"cpuCores\":4,\"memoryMb\":8}");
}

TEST(deployment_states_are_written_as_the_golden_messages)
{
    static const struct {
        const char *name;
        enum phase phase;
        const char *last_error;
    } rows[] = {
        { "device-state-running", PHASE_RUNNING, NULL },
        { "device-state-failed", PHASE_FAILED, "image localhost/hello:v9: not found" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *text = golden(rows[i].name), *again = NULL, *newer = NULL;
        CLEANUP_ERR struct err *err = NULL;
        struct deployment_state state = { 0 }, later = { 0 };

        check_case("%s", rows[i].name);
        need_ok(deployment_state_decode(text, strlen(text), &state, &err), err);
        check_str(state.device_id, "edge-1");
        check_str(state.deployment, "hello");
        check_int(state.phase, rows[i].phase);
        check_int(state.last_event_at_ms, AT_MS);
        check_str(state.last_error, rows[i].last_error);
        again = deployment_state_encode(&state);
        check_str(again, text);
        DECODE_NEWER(rows[i].name, text, deployment_state_decode, &later);
        newer = deployment_state_encode(&later);
        check_str(newer, text);
        deployment_state_done(&state);
        deployment_state_done(&later);
    }
}

TEST(an_empty_or_null_last_error_is_none)
{
    static const char *const errors[] = { "null", "\"\"" };

    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        CLEANUP_FREE char *text = xasprintf(
                "{\"device_id\":\"edge-1\",\"deployment\":\"hello\",\"phase\":\"Pending\","
                "\"last_event_at\":\"2026-04-21T18:15:42Z\",\"last_error\":%s}",
                errors[i]);
        CLEANUP_ERR struct err *err = NULL;
        struct deployment_state state = { 0 };

        check_case("%s", errors[i]);
        need_ok(deployment_state_decode(text, strlen(text), &state, &err), err);
        check_str(state.last_error, NULL);
        check_int(state.phase, PHASE_PENDING);
        deployment_state_done(&state);
    }
}

static char *repeat(const char *piece, size_t n)
{
    size_t len = strlen(piece);
    char *text = xcalloc(n, len + 1);

    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, piece, len);
    return text;
}

TEST(last_error_is_cut_between_characters)
{
    static const struct {
        const char *name, *piece, *kept;
        size_t n;
    } rows[] = {
        { "one byte", "x", "x", 600 },
        { "exactly the limit", "x", "x", LAST_ERROR_MAX },
        { "two bytes", "\xc3\xa4", "\xc3\xa4", 600 },
        { "four bytes", "\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5", 600 },
        { "control characters", "\x01", "\x01", 600 },
        { "not UTF-8", "\xff", "\xef\xbf\xbd", 600 },
        { "overlong", "\xc0\x80", "\xef\xbf\xbd", 600 },
        { "surrogate", "\xed\xa0\x80", "\xef\xbf\xbd", 600 },
        { "cut sequence", "\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz", 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = rows[i].n < LAST_ERROR_MAX ? rows[i].n : LAST_ERROR_MAX;
        CLEANUP_FREE char *error = repeat(rows[i].piece, rows[i].n);
        CLEANUP_FREE char *kept = repeat(rows[i].kept, n);
        struct deployment_state state = { (char[]){ LABEL_63 }, (char[]){ "hello" }, PHASE_FAILED,
                                          AT_MS, error };
        CLEANUP_FREE char *text = deployment_state_encode(&state);
        CLEANUP_ERR struct err *err = NULL;
        struct deployment_state back = { 0 };

        check_case("%s", rows[i].name);
        need_ok(deployment_state_decode(text, strlen(text), &back, &err), err);
        check_str(back.last_error, kept);
        deployment_state_done(&back);
    }
}

TEST(a_heartbeat_is_written_as_the_golden_message)
{
    CLEANUP_FREE char *text = golden("heartbeat"), *again = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct heartbeat hb = { 0 }, later = { 0 };

    need_ok(heartbeat_decode(text, strlen(text), &hb, &err), err);
    check_str(hb.device_id, "edge-1");
    check_int(hb.at_ms, AT_MS);
    check_str(hb.agent_version, NULL);
    again = heartbeat_encode(&hb);
    check_str(again, text);
    DECODE_NEWER("heartbeat", text, heartbeat_decode, &later);
    heartbeat_done(&hb);
    heartbeat_done(&later);
}

TEST(a_heartbeat_stays_under_its_size_by_leaving_the_version_out)
{
    static const struct {
        const char *version;
        bool kept;
    } rows[] = { { "0.1.0", true },
                 { "0.1.0-with-26-chars-in-all", true },
                 { "0.1.0-with-27-chars-in-all1", false },
                 { "0.1.0+a.very.long.build.name", false } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *version = xstrdup(rows[i].version), *text = NULL;
        struct heartbeat hb = { (char[]){ "edge-1" }, AT_MS, version };

        text = heartbeat_encode(&hb);
        check_case("%s", version);
        check_true(strlen(text) < HEARTBEAT_BYTES);
        check_true((strstr(text, version) != NULL) == rows[i].kept);
    }
}

TEST(the_longest_device_id_still_makes_an_acceptable_heartbeat)
{
    struct heartbeat hb = { (char[]){ LABEL_63 }, AT_MS, (char[]){ "0.1.0" } }, back = { 0 };
    CLEANUP_FREE char *text = heartbeat_encode(&hb);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(heartbeat_decode(text, strlen(text), &back, &err), err);
    check_str(back.device_id, LABEL_63);
    heartbeat_done(&back);
}

TEST(a_message_over_its_cap_is_refused)
{
    CLEANUP_FREE char *filler = repeat("x", 64 * 1024);
    CLEANUP_FREE char *text = with_unknown_member("{}"), *huge = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct device_info info = { 0 };
    struct deployment_state state = { 0 };

    huge = xasprintf("{\"unknown\":\"%s\"}", filler);
    check_true(device_info_decode(huge, strlen(huge), &info, &err) < 0);
    check_has(err_text(err), "at most 65536 are accepted");
    check_true(deployment_state_decode(huge, 4097, &state, &err) < 0);
    check_has(err_text(err), "at most 4096 are accepted");
}

TEST(a_failed_decode_leaves_the_result_alone)
{
    static const char text[] = "{\"device_id\":\"edge-2\",\"at\":\"never\"}";
    struct heartbeat hb = { .at_ms = 7 };

    check_true(heartbeat_decode(text, strlen(text), &hb, NULL) < 0);
    check_int(hb.at_ms, 7);
    check_str(hb.device_id, NULL);
}

/*
 * Bad messages
 */
/* clang-format off: one row, one file */
static const struct bad bad_info[] = {
    { "truncated", "DeviceInfo: JSON line" },
    { "no-updated-at", "DeviceInfo: \"updated_at\" is missing" },
    { "id-300", "is 300 bytes long: at most 63 are allowed" },
    { "labels-list", "DeviceInfo: labels: must be an object, is a list" },
    { "label-number",
      "DeviceInfo: labels: label \"rack\": must be a string, is an integer: put it in quotes" },
    { "label-key-space",
      "DeviceInfo: labels: label key \"my group\" is not valid: write NAME or DOMAIN/NAME" },
    { "label-value-space",
      "DeviceInfo: labels: label group: value \"a b\" is not valid: write at most 63" },
    { "label-twice", "DeviceInfo: JSON line" },
    { "label-of-another-device",
      "DeviceInfo: labels: device-id is \"edge-2\" on device \"edge-1\": take this label out "
      "of the agent's settings, the agent sets it" },
    { "inventory-string", "DeviceInfo: inventory: must be an object, is a string" },
    { "cores-negative", "DeviceInfo: inventory: cpuCores: -1 is not between 0 and 2147483647" },
    { "cores-fraction", "DeviceInfo: inventory: cpuCores: must be an integer, is a number" },
    { "memory-huge", "DeviceInfo: inventory: memoryMb: 4294967296 is not between" },
    { "memory-too-huge", "DeviceInfo: JSON line" },
    { "hostname-escape",
      "DeviceInfo: inventory: hostname: \"\\x1b[2J\" contains a control character" },
    { "os-300", "DeviceInfo: inventory: os: is 300 bytes long, at most 256 are accepted" },
};
/* clang-format on */

/* clang-format off: one row, one file */
static const struct bad bad_state[] = {
    { "truncated", "DeploymentState: JSON line" },
    { "no-phase", "DeploymentState: \"phase\" is missing" },
    { "phase-unknown",
      "DeploymentState: phase: \"Happy\" is unknown: known are Pending, Running and Failed" },
    { "phase-lower-case", "DeploymentState: phase: \"running\" is unknown" },
    { "phase-number", "DeploymentState: phase: must be a string, is an integer" },
    { "last-error-object", "DeploymentState: last_error: must be a string, is an object" },
    { "last-event-at-date", "DeploymentState: last_event_at: \"2026-04-21\" is not a time" },
    { "deployment-dot",
      "DeploymentState: deployment: deployment name \"hello.v1\" is refused at byte 6: allowed "
      "are letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS key" },
    { "deployment-star",
      "DeploymentState: deployment: deployment name \"*\" is refused at byte 1: allowed are "
      "letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS key" },
    { "deployment-greater",
      "DeploymentState: deployment: deployment name \">\" is refused at byte 1: allowed are "
      "letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS key" },
    { "deployment-space",
      "DeploymentState: deployment: deployment name \"a b\" is refused at byte 2: allowed are "
      "letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS key" },
    { "deployment-no-break-space",
      "DeploymentState: deployment: deployment name \"a\\xc2\\xa0b\" is refused at byte 2: "
      "allowed are letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS "
      "key" },
    { "deployment-slash",
      "DeploymentState: deployment: deployment name \"a/b\" is refused at byte 2: allowed are "
      "letters, digits, \"-\", \"_\" and \"=\", because it is one part of a NATS key" },
    { "deployment-empty", "DeploymentState: deployment: deployment name is empty" },
    { "deployment-254", "is 254 bytes long: at most 253 are allowed" },
};
/* clang-format on */

/* clang-format off: one row, one file */
static const struct bad bad_heartbeat[] = {
    { "empty", "Heartbeat: JSON line" },
    { "truncated", "Heartbeat: JSON line" },
    { "trailing", "Heartbeat: JSON line" },
    { "not-object", "Heartbeat: must be an object, is a list" },
    { "duplicate-member", "Heartbeat: JSON line" },
    { "huge", "at most 256 are accepted" },
    { "no-device", "Heartbeat: \"device_id\" is missing" },
    { "no-at", "Heartbeat: \"at\" is missing" },
    { "null-device", "Heartbeat: device_id: must be a string, is null" },
    { "number-device", "Heartbeat: device_id: must be a string, is an integer: put it in quotes" },
    { "nul-in-device", "Heartbeat: JSON line" },
    { "not-utf8", "Heartbeat: JSON line" },
    { "id-empty", "Heartbeat: device_id: device id is empty" },
    { "id-star",
      "Heartbeat: device_id: device id \"*\" is refused at byte 1: allowed are a-z, 0-9 and "
      "\"-\"" },
    { "id-greater",
      "Heartbeat: device_id: device id \">\" is refused at byte 1: allowed are a-z, 0-9 and "
      "\"-\"" },
    { "id-dot",
      "Heartbeat: device_id: device id \"a.b\" is refused at byte 2: allowed are a-z, 0-9 and "
      "\"-\"" },
    { "id-space",
      "Heartbeat: device_id: device id \"a b\" is refused at byte 2: allowed are a-z, 0-9 and "
      "\"-\"" },
    { "id-newline",
      "Heartbeat: device_id: device id \"a\\x0ab\" is refused at byte 2: allowed are a-z, 0-9 "
      "and \"-\"" },
    { "id-escape",
      "Heartbeat: device_id: device id \"a\\x1bb\" is refused at byte 2: allowed are a-z, 0-9 "
      "and \"-\"" },
    { "id-capital",
      "Heartbeat: device_id: device id \"Edge-1\" is refused at byte 1: allowed are a-z, 0-9 "
      "and \"-\"" },
    { "id-underscore",
      "Heartbeat: device_id: device id \"edge_1\" is refused at byte 5: allowed are a-z, 0-9 "
      "and \"-\"" },
    { "id-slash",
      "Heartbeat: device_id: device id \"edge/1\" is refused at byte 5: allowed are a-z, 0-9 "
      "and \"-\"" },
    { "id-cyrillic",
      "Heartbeat: device_id: device id \"\\xd0\\xb5dge-1\" is refused at byte 1: allowed are "
      "a-z, 0-9 and \"-\"" },
    { "id-wide-dot",
      "Heartbeat: device_id: device id \"a\\xe3\\x80\\x82b\" is refused at byte 2: allowed are "
      "a-z, 0-9 and \"-\"" },
    { "id-dash-first",
      "Heartbeat: device_id: device id \"-edge\" must start and end with a letter or a digit" },
    { "id-dash-last",
      "Heartbeat: device_id: device id \"edge-\" must start and end with a letter or a digit" },
    { "id-64", "is 64 bytes long: at most 63 are allowed" },
    { "at-words", "Heartbeat: at: \"yesterday\" is not a time: write RFC 3339 in UTC, such as "
                  "2026-04-21T18:15:42Z" },
    { "at-no-zone",
      "Heartbeat: at: \"2026-04-21T18:15:42\" is not a time: write RFC 3339 in UTC, such as "
      "2026-04-21T18:15:42Z" },
    { "at-month-13",
      "Heartbeat: at: \"2026-13-21T18:15:42Z\" is not a time: write RFC 3339 in UTC, such as "
      "2026-04-21T18:15:42Z" },
    { "at-hour-25",
      "Heartbeat: at: \"2026-04-21T25:15:42Z\" is not a time: write RFC 3339 in UTC, such as "
      "2026-04-21T18:15:42Z" },
    { "at-day-31",
      "Heartbeat: at: \"2026-04-31T18:15:42Z\" is not a time: write RFC 3339 in UTC, such as "
      "2026-04-21T18:15:42Z" },
    { "at-before-1970",
      "Heartbeat: at: \"1969-12-31T23:59:59Z\" is not a time: write RFC 3339 in UTC, such as "
      "2026-04-21T18:15:42Z" },
    { "at-year-10000",
      "Heartbeat: at: \"9999-12-31T23:59:59-01:00\" is not a time: write RFC 3339 in UTC, such "
      "as 2026-04-21T18:15:42Z" },
    { "at-empty",
      "Heartbeat: at: \"\" is not a time: write RFC 3339 in UTC, such as 2026-04-21T18:15:42Z" },
    { "at-number", "Heartbeat: at: must be a string, is an integer" },
    { "version-control", "Heartbeat: agent_version: \"1\\x0a2\" contains a control character" },
};
/* clang-format on */

static int decode_info(const char *data, size_t len, struct err **err)
{
    return device_info_decode(data, len, &(struct device_info){ 0 }, err);
}

static int decode_state(const char *data, size_t len, struct err **err)
{
    return deployment_state_decode(data, len, &(struct deployment_state){ 0 }, err);
}

static int decode_heartbeat(const char *data, size_t len, struct err **err)
{
    return heartbeat_decode(data, len, &(struct heartbeat){ 0 }, err);
}

TEST(bad_device_infos_are_refused_with_a_reason)
{
    check_bad("info", bad_info, ARRAY_LEN(bad_info), decode_info);
}

TEST(bad_deployment_states_are_refused_with_a_reason)
{
    check_bad("state", bad_state, ARRAY_LEN(bad_state), decode_state);
}

TEST(bad_heartbeats_are_refused_with_a_reason)
{
    check_bad("heartbeat", bad_heartbeat, ARRAY_LEN(bad_heartbeat), decode_heartbeat);
}

CHECK_MAIN()
