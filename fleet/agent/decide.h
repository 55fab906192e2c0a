/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What to do next for a workload, as a pure function of the world: no memory but the world's, so that
 * an agent which crashed anywhere goes on where it was. One action at a time for each workload; after
 * each the containers are listed again.
 */

#include "fleet/agent/world.h"

/* ACTION_NONE also while the workload is busy or the last listing is older than its last action. */
struct action decide_next(const struct world *w, const struct workload *l, int64_t now_ms);

enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_ABSENT /* CHECK_IMAGE: no such image */ };

/* Notes that `action` is under way. */
void decide_begin(struct workload *l, const struct action *action);
/* Notes how it ended. `reason` is podman's, NULL unless it failed. */
void decide_end(struct world *w, struct workload *l, enum outcome outcome, const char *reason,
                int64_t now_ms);

/* Brings the workload's phase and error up to date; true when they changed, `event_ms` with them. */
bool decide_state(const struct world *w, struct workload *l, int64_t now_ms);

/* "create", "start", ... */
const char *action_text(enum action_kind kind);
