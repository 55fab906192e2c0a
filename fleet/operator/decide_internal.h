/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the files of the decision share. */

#include "fleet/operator/decide.h"
#include "fleet/operator/status.h"

/* One step: the world, the time, and where the actions go. */
struct step {
    struct world *w;
    int64_t mono_ms, wall_ms;
    struct actions *actions;
};

struct action *add_action(struct step *s, enum action_type type, const char *target);
void add_log(struct step *s, bool is_warning, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* decide_match.c: who owns a name, and which devices it wants. */
void match_name(struct step *s, struct name *n);
void match_device(struct step *s, struct device *d);

/* decide_objects.c: Deployments and Devices of the API server. */
void object_seen(struct step *s, enum source source, const json_t *object);
void object_gone(struct step *s, enum source source, const json_t *object);
/* Takes what the last full list did not hold for gone. */
void objects_sweep(struct step *s, enum source source);

/* decide_entries.c: entries of the buckets. */
void entry_seen(struct step *s, const struct event *e);
void entries_sweep(struct step *s, enum source source);
/* Looks at everything that is reported and that nobody wants. */
void reports_judge(struct step *s);
/* Time passed: devices may have become unreachable. */
void hearts_check(struct step *s);
/* The heartbeats were interrupted on our side: everybody gets the whole time again. */
void hearts_forgive(struct step *s);

/* decide_plan.c: compares all that is queued with what it should be. */
void plan(struct step *s);
void plan_done(struct step *s, const struct event *e);
