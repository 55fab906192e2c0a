/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/clock.h"

#include "base/check.h"

TEST(deadlines_never_have_less_than_nothing_left)
{
    int64_t now = clock_mono_ms();

    check_int(clock_left_ms(now - 1000), 0);
    check_true(clock_left_ms(now + 60000) > 50000);
    check_true(clock_mono_ms() >= now);
    check_true(clock_wall_ms() > 1700000000000);
}

CHECK_MAIN()
