/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* INT, TERM and HUP become a flag that waits look at, so that everything is taken down in order. */

#include <signal.h>

/* From now on. SIGPIPE is ignored. The flag says how many came; it lives as long as the process. */
const volatile sig_atomic_t *signals_catch(void);
/* The first that came; 0 while none has. */
int signals_first(void);
