/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* The program rig: exit codes and commands. Each command stands in its own cmd_NAME.c. */

#include "base/verbs.h"
#include "rig/scenario/scenario.h"

enum rig_exit {
    RIG_PASSED = 0,
    RIG_FAILED = 1, /* a scenario did */
    RIG_USAGE = 2,  /* or a bad file */
    RIG_NO_LAB = 3, /* this host cannot provide it */
    RIG_NOTHING = 77,
    RIG_INT = 130, /* 128 + the signal that ended the run */
    RIG_TERM = 143,
};

extern const struct verbs_option cmd_run_options[];
int cmd_run(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_report_options[];
int cmd_report(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_check_options[];
int cmd_check(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_verbs_options[];
int cmd_verbs(const struct verbs_args *args, void *userdata);
/* A fleet that stays up: rig/cmd/cmd_fleet.h. */
extern const struct verbs_option cmd_up_options[];
int cmd_up(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_down_options[];
int cmd_down(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_status_options[];
int cmd_status(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_ssh_options[];
int cmd_ssh(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_logs_options[];
int cmd_logs(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_kubectl_options[];
int cmd_kubectl(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_do_options[];
int cmd_do(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_expect_options[];
int cmd_expect(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_redeploy_options[];
int cmd_redeploy(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_names_options[];
int cmd_names(const struct verbs_args *args, void *userdata);
/* Its userdata is the program's own table. */
int cmd_completion(const struct verbs_args *args, void *userdata);
int cmd_man(const struct verbs_args *args, void *userdata);
int cmd_schema(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_doctor_options[];
int cmd_doctor(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_heal_options[];
int cmd_heal(const struct verbs_args *args, void *userdata);
extern const struct verbs_option cmd_list_options[];
int cmd_list(const struct verbs_args *args, void *userdata);

/* What a command line names: files and folders, whose scenarios are meant. */
struct scenarios_wanted {
    char *const *paths;     /* empty: the folder scenarios/ of the checkout */
    char *const *tags;      /* strv: those that bear one of them; NULL: all */
    char *const *overrides; /* strv "name=value", of --set; may be NULL */
};

struct scenarios_count {
    size_t files, scenarios; /* all of them */
    size_t without_tag;      /* scenarios that were left out */
};

/* Mistakes are printed to stderr, of every file; false when there was any. `ret_count` may be NULL. */
bool scenarios_load(const struct scenarios_wanted *wanted, struct scenarios *ret,
                    struct scenarios_count *ret_count);
