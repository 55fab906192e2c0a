/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fleet/wire/fields.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Allow lists only: nothing that some layer might take for more than a letter gets in. */
static int chars_check(const char *what, const char *name, size_t max, const char *allowed,
                       const char *rule, struct err **err)
{
    size_t len = name ? strlen(name) : 0, good = name ? strspn(name, allowed) : 0;

    if (len == 0)
        return err_new(err, EINVAL, "%s is empty", what);
    if (len > max)
        return err_new(err, EINVAL, "%s %s is %zu bytes long: at most %zu are allowed", what,
                       QUOTE(name), len, max);
    if (good < len)
        return err_new(err, EINVAL, "%s %s is refused at byte %zu: %s", what, QUOTE(name), good + 1,
                       rule);
    return 0;
}

int rfc1123_label_check(const char *what, const char *name, struct err **err)
{
    if (chars_check(what, name, 63, LETTERS DIGITS "-", "allowed are a-z, 0-9 and \"-\"", err) < 0)
        return -EINVAL;
    if (name[0] == '-' || name[strlen(name) - 1] == '-')
        return err_new(err, EINVAL, "%s %s must start and end with a letter or a digit", what,
                       QUOTE(name));
    return 0;
}

int device_id_check(const char *id, struct err **err)
{
    return rfc1123_label_check("device id", id, err);
}

int deployment_name_check(const char *name, struct err **err)
{
    /* The alphabet of JetStream's keys without "." and "/". */
    return chars_check(
            "deployment name", name, DEPLOYMENT_NAME_MAX, LETTERS CAPITALS DIGITS "-_=",
            "allowed are letters, digits, \"-\", \"_\" and \"=\", because it is one part "
            "of a NATS key",
            err);
}

/*
 * Keys
 */
char *key_desired(char key[static KEY_MAX], const char *device, const char *deployment)
{
    snprintf(key, KEY_MAX, "%s.%s", device, deployment);
    return key;
}

char *key_desired_all(char key[static KEY_MAX], const char *device)
{
    snprintf(key, KEY_MAX, "%s.>", device);
    return key;
}

char *key_info(char key[static KEY_MAX], const char *device)
{
    snprintf(key, KEY_MAX, "info.%s", device);
    return key;
}

char *key_state(char key[static KEY_MAX], const char *device, const char *deployment)
{
    snprintf(key, KEY_MAX, "state.%s.%s", device, deployment);
    return key;
}

char *key_heartbeat(char key[static KEY_MAX], const char *device)
{
    snprintf(key, KEY_MAX, "heartbeat.%s", device);
    return key;
}

char *subject_pulse(char key[static KEY_MAX], const char *device)
{
    snprintf(key, KEY_MAX, "device-state.%s", device);
    return key;
}

/* Takes the piece before the next dot (or all that is left) off *rest. */
static bool take(const char **rest, char *piece, size_t size)
{
    size_t n = strcspn(*rest, ".");

    if (n >= size)
        return false;
    memcpy(piece, *rest, n);
    piece[n] = '\0';
    *rest += n;
    return true;
}

static bool split(const char *key, const char *prefix, bool deployment, struct device_key *ret)
{
    size_t n = strlen(prefix);

    if (strncmp(key, prefix, n) != 0)
        return false;
    key += n;
    if (!take(&key, ret->device, sizeof(ret->device)))
        return false;
    if (deployment && (*key++ != '.' || !take(&key, ret->deployment, sizeof(ret->deployment))))
        return false;
    return *key == '\0';
}

static int parse(const char *key, const char *prefix, bool deployment, struct device_key *ret,
                 struct err **err)
{
    struct device_key parsed = { 0 };

    if (!split(key, prefix, deployment, &parsed))
        return err_new(err, EINVAL, "key %s is not of the form %s<device>%s", QUOTE(key), prefix,
                       deployment ? ".<deployment>" : "");
    if (device_id_check(parsed.device, err) < 0 ||
        (deployment && deployment_name_check(parsed.deployment, err) < 0))
        return err_wrap(err, "key %s", QUOTE(key));
    *ret = parsed;
    return 0;
}

int key_parse_desired(const char *key, struct device_key *ret, struct err **err)
{
    return parse(key, "", /* deployment= */ true, ret, err);
}

int key_parse_info(const char *key, struct device_key *ret, struct err **err)
{
    return parse(key, "info.", /* deployment= */ false, ret, err);
}

int key_parse_state(const char *key, struct device_key *ret, struct err **err)
{
    return parse(key, "state.", /* deployment= */ true, ret, err);
}

int key_parse_heartbeat(const char *key, struct device_key *ret, struct err **err)
{
    return parse(key, "heartbeat.", /* deployment= */ false, ret, err);
}
