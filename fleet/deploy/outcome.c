/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/deploy/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/duration.h"

void outcome_set(struct outcome *o, bool changed, const char *fmt, ...)
{
    va_list ap;

    o->kind = changed ? OUTCOME_CHANGED : OUTCOME_NOOP;
    va_start(ap, fmt);
    vsnprintf(o->detail, sizeof(o->detail), fmt, ap);
    va_end(ap);
}

static struct {
    int (*alive)(void *userdata, struct err **err);
    void *userdata;
} watch;

void score_watch(int (*alive)(void *userdata, struct err **err), void *userdata)
{
    watch.alive = alive;
    watch.userdata = userdata;
}

int outcome_await(int64_t timeout_ms, int (*look)(void *userdata, struct err **err), void *userdata,
                  struct err **err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;

    for (;;) {
        CLEANUP_ERR struct err *why = NULL;
        char limit[DURATION_TEXT_MAX];
        int r = look(userdata, &why);

        if (r > 0)
            return 0;
        if (r < 0 && r != -EAGAIN)
            return err_new(err, -r, "%s", err_text(why));
        if (watch.alive && (r = watch.alive(watch.userdata, err)) < 0)
            return r;
        if (clock_left_ms(deadline) == 0)
            return err_new(err, ETIMEDOUT, "not so after %s: %s",
                           duration_format(timeout_ms, limit), why ? err_text(why) : "no answer");
        nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
    }
}
