/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/options.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strv.h"

/* A command need not have all of the options. */
static const char *given(const struct verbs_args *args, const char *option)
{
    for (const struct verbs_option *o = args->options; o->name; o++)
        if (str_eq(o->name, option))
            return verbs_value(args, option);
    return NULL;
}

static void override(char **setting, const struct verbs_args *args, const char *option)
{
    if (given(args, option))
        replace_str(setting, given(args, option));
}

int options_settings(const struct verbs_args *args, const struct place *place,
                     struct settings **ret, struct err **err)
{
    const char *path = verbs_value(args, "config");
    int r;

    r = settings_load(path ? path : place->settings, /* needed= */ path != NULL, ret, err);
    if (r < 0)
        return r;
    (*ret)->cold |= given(args, "cold") != NULL;
    override(&(*ret)->arch, args, "arch");
    override(&(*ret)->libvirt, args, "libvirt");
    override(&(*ret)->accel, args, "accel");
    return 0;
}

struct lab_config options_lab(const struct place *place, const struct settings *settings)
{
    return (struct lab_config){
        .cache_dir = place->cache,
        .root = place->root,
        .programs = place->programs,
        .arch = settings->arch,
        .libvirt_uri = settings->libvirt,
        .accel = settings->accel,
        .apiserver = settings->apiserver,
        .cold = settings->cold,
        .cpus = settings->cpus,
        .memory_mb = settings->memory_mb,
        .disk_gb = settings->disk_gb,
        .heartbeat_ms = settings->heartbeat_ms,
        .unreachable_after_ms = settings->unreachable_after_ms,
        .tick_ms = settings->tick_ms,
        .boot_timeout_ms = settings->boot_timeout_ms,
    };
}

int options_width(FILE *out)
{
    struct winsize size;
    const char *term = getenv("TERM");

    if (!isatty(fileno(out)) || !term || str_eq(term, "dumb"))
        return 0;
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

char *options_runs_dir(const struct verbs_args *args, const struct place *place)
{
    const char *dir = verbs_value(args, "report-dir");
    CLEANUP_FREE char *here = NULL;

    if (!dir)
        return xasprintf("%s/runs", place->cache);
    if (dir[0] == '/')
        return xstrdup(dir);
    here = getcwd(NULL, 0);
    return xasprintf("%s/%s", here ? here : ".", dir);
}
