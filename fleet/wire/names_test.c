/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/names.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define LABEL_63 "a123456789b123456789c123456789d123456789e123456789f123456789012"

TEST(device_ids_are_rfc_1123_labels)
{
    static const char *const good[] = { "a", "7", "edge-1", "a--b", "0-0", LABEL_63 };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", good[i]);
        check_ok(device_id_check(good[i], &err), err);
    }
}

/* The hostile ones are in device_test.c: every message goes through this same check. */
TEST(a_bad_device_id_is_shown_with_everything_escaped)
{
    static const struct {
        const char *id, *says;
    } rows[] = {
        { "", "device id is empty" },
        { "a\"b", "device id \"a\\x22b\" is refused at byte 2: allowed are a-z, 0-9 and \"-\"" },
        { "\x7f", "device id \"\\x7f\" is refused at byte 1: allowed are a-z, 0-9 and \"-\"" },
        { "-", "device id \"-\" must start and end with a letter or a digit" },
        { LABEL_63 "3", "is 64 bytes long: at most 63 are allowed" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", rows[i].id);
        check_true(device_id_check(rows[i].id, &err) < 0);
        check_has(err_text(err), rows[i].says);
    }
    check_true(device_id_check(NULL, NULL) < 0);
}

TEST(a_very_long_name_is_cut_in_the_error)
{
    CLEANUP_ERR struct err *err = NULL;
    char name[4096];

    memset(name, '\n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    check_true(deployment_name_check(name, &err) < 0);
    check_true(strlen(err_text(err)) < 512);
    check_has(err_text(err), "\\x0a...\" is 4095 bytes long: at most 253 are allowed");
}

TEST(deployment_names_are_what_a_key_can_hold)
{
    static const char *const good[] = { "hello", "A_b=c-D", "-", "0" };
    static const char *const bad[] = { "",    "a.b",  "*",     ">",       "a b",
                                       "a/b", "a\tb", "a\x01", "\xc3\xa4" };
    char name[255];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        check_case("%s", good[i]);
        check_true(deployment_name_check(good[i], NULL) == 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        check_case("%s", bad[i]);
        check_true(deployment_name_check(bad[i], NULL) < 0);
    }
    memset(name, 'a', sizeof(name));
    name[254] = '\0';
    check_case("254 bytes");
    check_true(deployment_name_check(name, NULL) < 0);
    name[253] = '\0';
    check_case("253 bytes");
    check_true(deployment_name_check(name, NULL) == 0);
}

TEST(keys_and_subjects)
{
    char key[KEY_MAX];

    check_str(key_desired(key, "edge-1", "hello"), "edge-1.hello");
    check_str(key_desired_all(key, "edge-1"), "edge-1.>");
    check_str(key_info(key, "edge-1"), "info.edge-1");
    check_str(key_state(key, "edge-1", "hello"), "state.edge-1.hello");
    check_str(key_heartbeat(key, "edge-1"), "heartbeat.edge-1");
    check_str(subject_pulse(key, "edge-1"), "device-state.edge-1");
}

TEST(the_longest_names_fit_into_a_key_and_come_back)
{
    struct device_key parsed;
    CLEANUP_ERR struct err *err = NULL;
    char key[KEY_MAX], deployment[DEPLOYMENT_NAME_MAX + 1];

    memset(deployment, 'z', sizeof(deployment) - 1);
    deployment[sizeof(deployment) - 1] = '\0';
    key_state(key, LABEL_63, deployment);
    check_int((int64_t)strlen(key), 6 + 63 + 1 + 253);
    need_ok(key_parse_state(key, &parsed, &err), err);
    check_str(parsed.device, LABEL_63);
    check_str(parsed.deployment, deployment);
}

typedef int parse_fn(const char *key, struct device_key *ret, struct err **err);

TEST(keys_are_taken_apart)
{
    static const struct {
        parse_fn *parse;
        const char *key, *device, *deployment; /* device NULL: refused */
    } rows[] = {
        { key_parse_desired, "edge-1.hello", "edge-1", "hello" },
        { key_parse_desired, "edge-1", NULL, NULL },
        { key_parse_desired, "edge-1.", NULL, NULL },
        { key_parse_desired, ".hello", NULL, NULL },
        { key_parse_desired, "edge-1.hello.v1", NULL, NULL },
        { key_parse_desired, "edge-1.>", NULL, NULL },
        { key_parse_desired, "*.hello", NULL, NULL },
        { key_parse_desired, "", NULL, NULL },
        { key_parse_info, "info.edge-1", "edge-1", "" },
        { key_parse_info, "info.", NULL, NULL },
        { key_parse_info, "info", NULL, NULL },
        { key_parse_info, "info.edge-1.x", NULL, NULL },
        { key_parse_info, "INFO.edge-1", NULL, NULL },
        { key_parse_info, "heartbeat.edge-1", NULL, NULL },
        { key_parse_info, "info." LABEL_63 "3", NULL, NULL },
        { key_parse_state, "state.edge-1.hello", "edge-1", "hello" },
        { key_parse_state, "state.edge-1", NULL, NULL },
        { key_parse_state, "state.edge-1.hello.x", NULL, NULL },
        { key_parse_state, "state..hello", NULL, NULL },
        { key_parse_heartbeat, "heartbeat.edge-1", "edge-1", "" },
        { key_parse_heartbeat, "heartbeat.Edge-1", NULL, NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct device_key parsed = { .device = "untouched" };
        CLEANUP_ERR struct err *err = NULL;
        int r = rows[i].parse(rows[i].key, &parsed, &err);

        check_case("%s", rows[i].key);
        check_true((r == 0) == (rows[i].device != NULL));
        check_true((err == NULL) == (r == 0));
        check_str(parsed.device, rows[i].device ? rows[i].device : "untouched");
        check_str(parsed.deployment, rows[i].device ? rows[i].deployment : "");
    }
}

TEST(an_error_says_what_a_key_looks_like)
{
    struct device_key parsed;
    CLEANUP_ERR struct err *err = NULL;

    check_true(key_parse_state("state.edge-1", &parsed, &err) < 0);
    check_str(err_text(err), "key \"state.edge-1\" is not of the form state.<device>.<deployment>");
    check_true(key_parse_desired("Edge.hello", &parsed, &err) < 0);
    check_has(err_text(err), "key \"Edge.hello\": device id \"Edge\" is refused at byte 1");
}

CHECK_MAIN()
