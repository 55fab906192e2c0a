/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/mem.h"
#include "rig/run/log_lines.h"

/* The first byte chooses the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "logs/etcd.log",           "logs/apiserver.log",
                                         "logs/nats.log",           "logs/operator.log",
                                         "machines/a/warnings.txt", "machines/a/errors.txt" };
    const struct log_clock clock = { .wall_ms = INT64_C(1795258552000) };
    struct history_event *events = NULL;
    size_t n = 0, cap = 0;

    if (size == 0)
        return 0;
    log_events(paths[data[0] % ARRAY_LEN(paths)], (const char *)data + 1, size - 1, &clock,
               INT64_MAX / 4, &events, &n, &cap);
    for (size_t i = 0; i < n; i++) {
        free(events[i].lane);
        free(events[i].what);
        free(events[i].text);
        free(events[i].detail);
    }
    free(events);
    return 0;
}
