/* SPDX-License-Identifier: AGPL-3.0-only */

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/options.h"
#include "rig/cmd/rig.h"
#include "rig/cmd/schedule.h"
#include "rig/lab/host_facts.h"

const struct verbs_option cmd_doctor_options[] = {
    { "output", 'o', "FORMAT", "for people or for programs", "text|json" },
    { "libvirt", 0, "URI", "a libvirt daemon, or 'private' for one of the rig's own", NULL },
    { "report-dir", 0, "DIR", "where the folders of runs are to be", NULL },
    { "config", 'c', "FILE", "settings file, instead of ~/.config/fleetrig/rig.yml", NULL },
    { 0 },
};

static bool can_run(const struct host_fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (facts[i].state == HOST_MISSING)
            return false;
    return true;
}

static void print_text(const struct host_fact *facts, size_t n)
{
    static const char *const marks[] = { "ok  ", "less", "MISS" };

    for (size_t i = 0; i < n; i++) {
        printf("%s  %-16s %s\n", marks[facts[i].state], facts[i].name, facts[i].found);
        if (facts[i].advice)
            printf("      %-16s > %s\n", "", facts[i].advice);
    }
    puts(can_run(facts, n) ? "Scenarios can run here."
                           : "Scenarios cannot run here: see MISS above.");
}

static void print_json(const struct host_fact *facts, size_t n)
{
    CLEANUP_JSON json_t *all = json_pack("{s:b, s:[]}", "ok", can_run(facts, n), "facts");
    CLEANUP_FREE char *text = NULL;

    for (size_t i = 0; i < n; i++)
        json_array_append_new(json_object_get(all, "facts"),
                              json_pack("{s:s, s:s, s:s, s:s?}", "name", facts[i].name, "state",
                                        host_state_text(facts[i].state), "found", facts[i].found,
                                        "advice", facts[i].advice));
    text = json_text(all);
    puts(text);
}

int cmd_doctor(const struct verbs_args *args, void *userdata)
{
    CLEANUP(settings_free) struct settings *settings = NULL;
    CLEANUP(place_free) struct place *place = NULL;
    CLEANUP_FREE char *runs_dir = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct host_question q = { 0 };
    struct host_fact *facts = NULL;
    size_t n = 0;
    bool good;

    (void)userdata;
    if (place_new(&place, &err) < 0 || options_settings(args, place, &settings, &err) < 0) {
        CLEANUP_FREE char *text = err_text_full(err);

        fprintf(stderr, "%s\n", text);
        return RIG_USAGE;
    }
    runs_dir = options_runs_dir(args, place);
    q = (struct host_question){
        .places = { .root = place->root, .cache = place->cache },
        .runs_dir = runs_dir,
        .programs = place->programs,
        .libvirt_uri = settings->libvirt,
        .memory_mb = settings->memory_mb,
        .needed_mb = schedule_need(1, settings->memory_mb).memory_mb + SCHEDULE_SPARE_MB,
    };
    host_facts(&q, &facts, &n);
    if (str_eq(verbs_value(args, "output"), "json"))
        print_json(facts, n);
    else
        print_text(facts, n);
    good = can_run(facts, n);
    host_facts_done(facts, n);
    return good ? RIG_PASSED : RIG_NO_LAB;
}
