/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/mem.h"
#include "fleet/wire/fuzz.h"
#include "fleet/wire/names.h"

/* A key that is taken apart gives the same key again, and its names are good. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = xstrndup((const char *)data, size);
    CLEANUP_ERR struct err *err = NULL;
    struct device_key k;
    char key[KEY_MAX];

    if (key_parse_desired(text, &k, &err) == 0) {
        PROPERTY(strcmp(key_desired(key, k.device, k.deployment), text) == 0);
        PROPERTY(device_id_check(k.device, NULL) == 0);
        PROPERTY(deployment_name_check(k.deployment, NULL) == 0);
    }
    if (key_parse_state(text, &k, &err) == 0)
        PROPERTY(strcmp(key_state(key, k.device, k.deployment), text) == 0);
    if (key_parse_info(text, &k, &err) == 0)
        PROPERTY(strcmp(key_info(key, k.device), text) == 0);
    if (key_parse_heartbeat(text, &k, &err) == 0)
        PROPERTY(strcmp(key_heartbeat(key, k.device), text) == 0);
    if (deployment_name_check(text, &err) == 0)
        PROPERTY(!strpbrk(text, ".*>/ \t\r\n"));
    return 0;
}
