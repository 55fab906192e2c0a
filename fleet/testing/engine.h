/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A podman of a test's own: storage, state and API socket in a folder, no network of its own, no
 * image but localhost/t:v1 and :v2 (a static program that sleeps until TERM). Needs root and podman
 * with runc; a test whose engine cannot run skips, with the reason.
 *
 *     ENGINE_NEED();
 *     need_ok(engine_start(&engine, &err), err);
 *     ... engine.socket
 *     engine_done(&engine);  removes its containers
 */

#include "base/check.h"
#include "base/err.h"
#include "base/proc.h"

#define ENGINE_NEED()                                                                              \
    do {                                                                                           \
        const char *missing_ = engine_missing();                                                   \
        if (missing_)                                                                              \
            check_skip("%s", missing_);                                                            \
    } while (0)

/* Why it cannot run here, or NULL. Tries once by running a container, which takes some seconds. */
const char *engine_missing(void);

/* Zero-initialise before the first start. */
struct engine {
    char *dir;
    char *socket; /* of the API */
    struct proc proc;
};

/* Returns when the API answers. After a stop: with the same containers. */
int engine_start(struct engine *e, struct err **err);
void engine_stop(struct engine *e);
/* Runs `podman ARGS...` on it; *ret (may be NULL) is what it printed, without the last newline. */
int engine_run(struct engine *e, char *const *args, char **ret, struct err **err);
void engine_done(struct engine *e);
