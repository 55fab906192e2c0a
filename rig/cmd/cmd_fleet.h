/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What the commands for a fleet that stays up have in common. */

#include "rig/cmd/fleet_ask.h"
#include "rig/cmd/rig.h"

#define FLEET_OPTION { "name", 0, "NAME", "which fleet, when there are several (local)", NULL }

struct fleet_cmd {
    struct place *place;
    struct fleet *fleet;
    struct fleet_state state;
};

/* The fleet that --name means. 0, or what is wrong was printed and this is the exit code. */
int fleet_cmd_open(const struct verbs_args *args, struct fleet_cmd *ret);
/* The same, and its state: it is up. */
int fleet_cmd_need(const struct verbs_args *args, struct fleet_cmd *ret);
void fleet_cmd_done(struct fleet_cmd *c);
#define CLEANUP_FLEET_CMD __attribute__((cleanup(fleet_cmd_done)))

/* Prints the error with what to do next; returns `code`. */
int fleet_cmd_error(int code, const struct err *err);
/* A device that the fleet has; else that is printed, with those it has. */
const struct fleet_device *fleet_cmd_device(const struct fleet_cmd *c, const char *name);
/* Asks with progress on `out`, and prints the last answer's text. Its exit code. `ret_data` may be
 * NULL; it is the caller's. Ctrl-C takes the request back. */
int fleet_cmd_ask(const struct fleet_cmd *c, const struct request *request, FILE *out,
                  json_t **ret_data);
