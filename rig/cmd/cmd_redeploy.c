/* SPDX-License-Identifier: AGPL-3.0-only */

/* A developer's inner loop: build, swap, wait until it works. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/signals.h"

#define BUILD_MS (30 * 60 * 1000)
#define POLL_MS 100

const struct verbs_option cmd_redeploy_options[] = {
    { "no-build", 0, NULL, "take the program as it is", NULL },
    FLEET_OPTION,
    { 0 },
};

static void tell_took(const char *what, int64_t began_ms)
{
    char took[DURATION_TEXT_MAX];

    printf("ok    %s (%s)\n", what, duration_format(clock_mono_ms() - began_ms, took));
    fflush(stdout);
}

/* "debug", when the programs lie where make puts them: ROOT/build/VARIANT/bin. The caller frees it; NULL
 * when this is no checkout. */
static char *variant_of(const struct place *place)
{
    CLEANUP_FREE char *prefix = xasprintf("%s/build/", place->root),
                      *makefile = xasprintf("%s/Makefile", place->root);
    const char *rest = place->programs + strlen(prefix);

    if (!str_starts(place->programs, prefix) || !str_ends(rest, "/bin") || !file_exists(makefile))
        return NULL;
    return xstrndup(rest, strlen(rest) - strlen("/bin"));
}

/* What make says goes to stderr, as it comes. */
static int make(const struct place *place, const char *variant, const char *program,
                struct err **err)
{
    CLEANUP_FREE char *folder = xasprintf("-C%s", place->root),
                      *v = xasprintf("VARIANT=%s", variant),
                      *target = xasprintf("build/%s/bin/%s", variant, program);
    struct proc_spec spec = { .argv = ARGV("make", "--no-print-directory", "-s", "-j2", folder, v,
                                           target),
                              .out_fd = STDERR_FILENO };
    const volatile sig_atomic_t *stop = signals_catch();
    struct proc p = { 0 };
    int64_t deadline = clock_mono_ms() + BUILD_MS;
    int r = proc_spawn(&spec, &p, err);

    if (r < 0)
        return r;
    while (proc_wait(&p, POLL_MS, NULL) < 0 && !*stop && clock_mono_ms() < deadline)
        ;
    if (p.pid) {
        proc_stop(&p, /* group= */ false, 5000);
        return err_new(err, *stop ? ECANCELED : ETIMEDOUT, "make was ended");
    }
    return p.status ? err_new(err, EIO, "%s does not build", program) : 0;
}

static int build(const struct verbs_args *args, const struct place *place, const char *program)
{
    CLEANUP_FREE char *variant = variant_of(place), *what = xasprintf("built %s", program);
    CLEANUP_ERR struct err *err = NULL;
    int64_t began = clock_mono_ms();

    if (verbs_flag(args, "no-build"))
        return 0;
    if (!variant) {
        fprintf(stderr, "%s is no checkout: taking %s as it is\n", place->root, program);
        return 0;
    }
    if (make(place, variant, program, &err) < 0)
        return fleet_cmd_error(err_code(err) == ECANCELED ? RIG_INT : RIG_FAILED, err);
    tell_took(what, began);
    return 0;
}

int cmd_redeploy(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    bool operator= str_eq(args->positional[0], "operator");
    char **devices = args->positional + 1;
    struct request request = { .ask = ASK_REDEPLOY, .operator= operator};
    int64_t began = clock_mono_ms();
    int code;

    (void)userdata;
    if (!operator&& !str_eq(args->positional[0], "agent")) {
        fprintf(stderr, "rig redeploy: '%s' is neither agent nor operator\n", args->positional[0]);
        return RIG_USAGE;
    }
    if (operator&& * devices) {
        fprintf(stderr, "rig redeploy: the operator runs on no device\n");
        return RIG_USAGE;
    }
    if ((code = fleet_cmd_need(args, &c)))
        return code;
    for (char **device = devices; *device; device++)
        if (!fleet_cmd_device(&c, *device))
            return RIG_USAGE;
    if ((code = build(args, c.place, operator? "fleet-operator" : "fleet-agent")))
        return code;
    request.programs = c.place->programs;
    request.devices = *devices ? devices : NULL;
    if ((code = fleet_cmd_ask(&c, &request, stdout, NULL)) == RIG_PASSED)
        tell_took("all of it", began);
    return code;
}
