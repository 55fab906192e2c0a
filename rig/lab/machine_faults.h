/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What can be done to a machine from outside beside cutting its power (rig/lab/machines.h). Each
 * returns once it is so, as far as the host can see it, and is idempotent. */

#include "rig/lab/machines.h"

/* The reset button: the processor starts anew, nothing is flushed. The machine must be powered. */
int machine_reset(struct machines *m, const char *name, struct err **err);
/* All its processors stand still, and go on. Its clock stands still meanwhile. */
int machine_pause(struct machines *m, const char *name, struct err **err);
int machine_resume(struct machines *m, const char *name, struct err **err);
bool machine_paused(struct machines *m, const char *name);
/* SIGKILL to the emulator's process: what a crashed host does. A power cut for the guest. *ret_pid
 * (may be NULL) is whom it hit, 0 when the machine was off. */
int machine_kill(struct machines *m, const char *name, pid_t *ret_pid, struct err **err);
/* The system is told to power off and does, within `timeout_ms`. */
int machine_shut_down(struct machines *m, const char *name, int64_t timeout_ms, struct err **err);
/* The cable. Cut, nothing gets in or out, the rig's own SSH included; open connections stay until
 * they time out. It stays cut over resets and power cycles until it is healed. */
int machine_link(struct machines *m, const char *name, bool up, struct err **err);
bool machine_linked(struct machines *m, const char *name);

/* Whether an SSH server in the machine greets within `within_ms`: evidence that it lives and can be
 * reached, or not. */
bool machine_greets(struct machines *m, const char *name, int64_t within_ms);
