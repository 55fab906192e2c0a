/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/clock.h"

#include <time.h>

static int64_t now_ms(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

int64_t clock_left_ms(int64_t deadline_ms)
{
    int64_t now = clock_mono_ms();

    return deadline_ms > now ? deadline_ms - now : 0;
}
