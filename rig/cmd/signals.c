/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/signals.h"

#include <stddef.h>

#include "base/mem.h"

static volatile sig_atomic_t count;
static volatile sig_atomic_t first;

static void on_signal(int number)
{
    if (count == 0)
        first = number;
    count = count + 1;
}

const volatile sig_atomic_t *signals_catch(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaction(numbers[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    return &count;
}

int signals_first(void)
{
    return first;
}
