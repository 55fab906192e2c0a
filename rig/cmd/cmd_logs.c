/* SPDX-License-Identifier: AGPL-3.0-only */

/* Logs of components are files; those of devices are journals, over SSH. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/cmd_fleet.h"
#include "rig/cmd/fleet_programs.h"
#include "rig/cmd/log_tail.h"
#include "rig/cmd/signals.h"

#define LINES 100 /* where no other number is given */
#define LINES_MAX 1000000

const struct verbs_option cmd_logs_options[] = {
    { "follow", 'f', NULL, "go on with what is written from now on, until Ctrl-C", NULL },
    { "lines", 'n', "N", "how many of the last lines (100)", NULL },
    FLEET_OPTION,
    { 0 },
};

static bool read_lines(const struct verbs_args *args, size_t *ret)
{
    const char *text = verbs_value(args, "lines");
    unsigned n = LINES;
    int end = 0;

    if (text && (sscanf(text, "%7u%n", &n, &end) != 1 || text[end] || n > LINES_MAX)) {
        fprintf(stderr, "--lines must be a number up to %d, not '%s'\n", LINES_MAX, text);
        return false;
    }
    *ret = n;
    return true;
}

/* The journal of its agent; becomes ssh. */
static int device_log(const struct fleet_cmd *c, const struct fleet_device *device, size_t lines,
                      bool follow)
{
    CLEANUP_FREE char *count = xasprintf("--lines=%zu", lines);
    CLEANUP_STRV char **argv =
            fleet_ssh_argv(&c->state, device,
                           /* terminal= */ follow && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
                           ARGV("journalctl", "--unit=fleet-agent", "--no-pager",
                                "--output=short-iso", count, follow ? "--follow" : NULL));

    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    return RIG_NO_LAB;
}

static int print_logs(const struct fleet_cmd *c, const char *name, size_t lines, bool follow)
{
    const struct log_tail tail = { .dir = c->state.logs,
                                   .name = name,
                                   .lines = lines,
                                   .follow = follow,
                                   .stop = signals_catch(),
                                   .out = stdout };
    CLEANUP_ERR struct err *err = NULL;

    if (log_tail(&tail, &err) < 0)
        return fleet_cmd_error(err_code(err) == ENOENT ? RIG_USAGE : RIG_FAILED, err);
    return signals_first() ? signals_first() + 128 : RIG_PASSED;
}

int cmd_logs(const struct verbs_args *args, void *userdata)
{
    CLEANUP_FLEET_CMD struct fleet_cmd c = { 0 };
    const char *name = args->positional[0];
    const struct fleet_device *device;
    size_t lines = 0;
    int code;

    (void)userdata;
    if (!read_lines(args, &lines))
        return RIG_USAGE;
    if ((code = fleet_cmd_need(args, &c)))
        return code;
    device = name ? fleet_state_device(&c.state, name) : NULL;
    if (device)
        return device_log(&c, device, lines, verbs_flag(args, "follow"));
    return print_logs(&c, name, lines, verbs_flag(args, "follow"));
}
