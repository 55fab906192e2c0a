/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/device.h"
#include "fleet/wire/fuzz.h"

/* What was decoded is written in a form that decodes to the same again. (The first writing may
 * differ from the input: fractions of seconds, unknown members.) */
#define ROUND_TRIP(type, data, size)                                                               \
    do {                                                                                           \
        struct type first_ = { 0 }, second_ = { 0 };                                               \
        CLEANUP_ERR struct err *err_ = NULL;                                                       \
                                                                                                   \
        if (type##_decode(data, size, &first_, &err_) == 0) {                                      \
            CLEANUP_FREE char *once_ = type##_encode(&first_), *twice_ = NULL;                     \
                                                                                                   \
            PROPERTY(type##_decode(once_, strlen(once_), &second_, &err_) == 0);                   \
            twice_ = type##_encode(&second_);                                                      \
            PROPERTY(strcmp(once_, twice_) == 0);                                                  \
        }                                                                                          \
        PROPERTY((err_ == NULL) == (first_.device_id != NULL));                                    \
        type##_done(&first_);                                                                      \
        type##_done(&second_);                                                                     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ROUND_TRIP(device_info, (const char *)data, size);
    ROUND_TRIP(deployment_state, (const char *)data, size);
    ROUND_TRIP(heartbeat, (const char *)data, size);
    return 0;
}
