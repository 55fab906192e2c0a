/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Names, buckets, keys and subjects of the platform: the one definition that both sides compile
 * against. A device id and a deployment name are checked where they enter (command line, settings,
 * decoding), so that a key can be built from them without escaping anything.
 */

#include <stdbool.h>

#include "base/err.h"

#define BUCKET_DESIRED_STATE "desired-state"
#define BUCKET_DEVICE_INFO "device-info"
#define BUCKET_DEVICE_STATE "device-state"
#define BUCKET_DEVICE_HEARTBEAT "device-heartbeat"
#define BUCKET_AGENT_UPGRADE "agent-upgrade"

#define DEVICE_ID_MAX 63        /* an RFC 1123 label: no dot, so it is one subject token */
#define DEPLOYMENT_NAME_MAX 253 /* bytes */
#define KEY_MAX 384             /* longest key or subject, with terminator */

#define HEARTBEAT_INTERVAL_MS 30000

/* RFC 1123 label: [a-z0-9]([-a-z0-9]*[a-z0-9])?, 1 to 63 bytes. `what` names it in errors. */
int rfc1123_label_check(const char *what, const char *name, struct err **err);
int device_id_check(const char *id, struct err **err);
/* 1 to 253 letters, digits, '-', '_' and '=': what a JetStream key may hold without '.' and '/'. */
int deployment_name_check(const char *name, struct err **err);

/* Each writes at most KEY_MAX bytes and returns `key`. The names must have passed their check. */
char *key_desired(char key[static KEY_MAX], const char *device, const char *deployment);
char *key_desired_all(char key[static KEY_MAX], const char *device); /* "<device>.>" */
char *key_info(char key[static KEY_MAX], const char *device);
char *key_state(char key[static KEY_MAX], const char *device, const char *deployment);
char *key_heartbeat(char key[static KEY_MAX], const char *device);
char *subject_pulse(char key[static KEY_MAX], const char *device); /* "device-state.<device>" */

struct device_key {
    char device[DEVICE_ID_MAX + 1];
    char deployment[DEPLOYMENT_NAME_MAX + 1]; /* "" where the key has none */
};

/* The inverse; a key of another shape or with a bad name is an error. */
int key_parse_desired(const char *key, struct device_key *ret, struct err **err);
int key_parse_info(const char *key, struct device_key *ret, struct err **err);
int key_parse_state(const char *key, struct device_key *ret, struct err **err);
int key_parse_heartbeat(const char *key, struct device_key *ret, struct err **err);
