/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/scenario.h"

#include <dirent.h>
#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/strv.h"
#include "rig/scenario/sample_verbs.h"

#define VERBS sample_verbs, ARRAY_LEN(sample_verbs)
#define BAD "rig/scenario/testdata/bad"

static char **folders(const char *path)
{
    DIR *dir = opendir(path);
    char **names = NULL;

    need_true(dir != NULL);
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.')
            strv_add(&names, d->d_name);
    closedir(dir);
    strv_sort(names);
    return names;
}

/* The mistakes of a file, with the folder taken off each line. */
static char *mistakes_of(const char *folder)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20), shown = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *path = xasprintf("%s/input.yml", folder);
    CLEANUP_STRV char **lines = NULL;

    check_int(scenario_load(path, NULL, VERBS, &list, &mistakes, &err), -22);
    check_int((int64_t)list.n, 0);
    lines = strv_split(buf_str(&mistakes), "\n");
    for (char **l = lines; l && *l; l++)
        buf_addf(&shown, "%s\n", str_starts(*l, folder) ? *l + strlen(folder) + 1 : *l);
    return buf_steal(&shown);
}

TEST(every_bad_file_is_refused_with_all_its_mistakes)
{
    CLEANUP_STRV char **names = folders(BAD);

    for (char **n = names; *n; n++) {
        CLEANUP_FREE char *folder = xasprintf(BAD "/%s", *n);
        CLEANUP_FREE char *golden = xasprintf("%s/error", folder);
        CLEANUP_FREE char *got = NULL;

        check_case("%s", *n);
        got = mistakes_of(folder);
        check_golden(got, golden);
    }
}

TEST(a_whole_file_is_read)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    const struct scenario *s;
    const struct step *step;

    need_ok(scenario_load("rig/scenario/testdata/good/input.yml", NULL, VERBS, &list, &mistakes,
                          &err),
            err);
    need_true(list.n == 1);
    s = list.items[0];
    check_str(s->slug, "good");
    check_str(s->arch, NULL);
    check_int((int64_t)strv_len(s->variables), 0);
    check_int((int64_t)mistakes.len, 0);
    check_str(s->name, "good");
    check_has(s->story, "loses power");
    check_int((int64_t)strv_len(s->tags), 2);

    check_int((int64_t)s->n_devices, 2);
    check_str(s->devices[0].name, "edge-1");
    check_str(s->devices[0].labels[0], "group=a");
    check_str(s->devices[0].arch, NULL);
    check_str(s->devices[1].arch, "aarch64");

    /* hello-v1.yml has two documents; the file is named three times and read once. */
    check_int((int64_t)s->n_manifests, 3);
    check_str(s->manifests[0].path, "hello-v1.yml");
    check_str(s->manifests[0].deployment, "hello");
    check_str(s->manifests[1].deployment, NULL);
    check_str(s->manifests[2].path, "hello-v2.yml");
    check_true(scenario_deployment(s, "hello") == &s->manifests[2]);
    check_true(scenario_deployment(s, "other") == NULL);

    check_int((int64_t)s->n_always, 1);
    check_int((int64_t)s->n_steps, 4);
    step = &s->steps[0];
    check_str(step->name, "deploy");
    check_str(step->actions[0].text, "apply \"hello-v1.yml\"");
    check_int((int64_t)step->n_expects, 0);

    step = &s->steps[1];
    check_str(step->name, "up");
    check_int((int64_t)step->n_actions, 0);
    check_int((int64_t)step->n_expects, 2);
    check_int(step->within_ms, 300000);
    check_int(step->holds_ms, 0);
    check_int(step->expects[1].line, 17);
    check_int(step->expects[1].column, 9);

    /* In file order, whichever of do and fault stands first. */
    step = &s->steps[2];
    check_int((int64_t)step->n_actions, 3);
    check_int(step->actions[0].verb->kind, VERB_FAULT);
    check_int(step->actions[1].verb->kind, VERB_DO);
    check_str(step->actions[2].text, "apply hello-v2.yml");

    step = &s->steps[3];
    check_int(step->holds_ms, 20000);
    check_int(step->within_ms, 0);
}

TEST(a_file_that_is_not_there_is_an_error_without_mistakes)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;

    check_int(scenario_load("rig/scenario/testdata/none.yml", NULL, VERBS, &list, &mistakes, &err),
              -2);
    check_int((int64_t)mistakes.len, 0);
    check_has(err_text(err), "rig/scenario/testdata/none.yml");
}

static int variants(char *const *overrides, struct scenarios *list, struct buf *mistakes,
                    struct err **err)
{
    return scenario_load("rig/scenario/testdata/good/variants.yml", overrides, VERBS, list,
                         mistakes, err);
}

TEST(a_matrix_makes_a_scenario_of_every_combination)
{
    static const char *const names[] = {
        "load[arch=x86_64,count=1]",
        "load[arch=x86_64,count=4]",
        "load[arch=aarch64,count=1]",
        "load[arch=aarch64,count=4]",
    };
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_FREE char *variables = NULL;
    const struct scenario *s;

    need_ok(variants(NULL, &list, &mistakes, &err), err);
    need_true(list.n == ARRAY_LEN(names));
    for (size_t i = 0; i < list.n; i++)
        check_str(list.items[i]->name, names[i]);
    s = list.items[3];
    check_str(s->slug, "load-arch=aarch64-count=4.4");
    check_str(s->arch, "aarch64");
    variables = strv_join(s->variables, " ");
    check_str(variables, "wait=2m file=hello arch=aarch64 count=4");
    check_str(s->story, "with 4 of ${count}");
    check_str(s->tags[0], "load");
    check_int((int64_t)strv_len(s->needs), 2);
    check_str(s->needs[1], "root");

    check_int((int64_t)s->n_devices, 5);
    check_str(s->devices[0].name, "edge-1");
    check_str(s->devices[3].name, "edge-4");
    check_str(s->devices[3].labels[0], "size=n-4");
    check_str(s->devices[3].labels[1], "none=");
    check_str(s->devices[3].arch, NULL);
    check_str(s->devices[4].name, "core");
    check_str(s->devices[4].arch, "x86_64");
    check_str(s->manifests[0].path, "hello-v1.yml");
}

/* "a b c" */
static void check_devices(const struct sentence *s, const char *want)
{
    CLEANUP_FREE char *names = strv_join(sentence_values(s, "DEVICE"), " ");

    check_str(names, want);
}

TEST(sentences_of_a_variant_have_its_values_and_devices)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    const struct step *step;

    need_ok(variants(NULL, &list, &mistakes, &err), err);
    need_true(list.n == 4);
    check_devices(&list.items[0]->always[0], "edge-1");
    check_devices(&list.items[1]->always[0], "edge-1 edge-2 edge-3 edge-4");
    step = &list.items[1]->steps[1];
    check_str(step->name, "all 4 on x86_64");
    check_int(step->within_ms, 120000);
    check_str(step->actions[0].text, "cut power of edge-1 edge-* core");
    check_devices(&step->actions[0], "edge-1 edge-2 edge-3 edge-4 core");
    check_int(sentence_number(&step->expects[0], "COUNT_2"), 4);
    check_int((int64_t)list.items[1]->n_finally, 1);
    step = &list.items[1]->finally[0];
    check_str(step->name, "back");
    check_str(step->actions[0].text, "apply hello-v2.yml");
}

TEST(values_from_outside_go_before_those_of_the_file)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(variants(ARGV("wait=1m", "count=2", "arch=aarch64"), &list, &mistakes, &err), err);
    need_true(list.n == 1);
    check_str(list.items[0]->name, "load[arch=aarch64,count=2]");
    check_int((int64_t)list.items[0]->n_devices, 3);
    check_int(list.items[0]->steps[1].within_ms, 60000);
}

TEST(bad_values_from_outside_are_refused)
{
    static const struct {
        const char *override, *mistake;
    } table[] = {
        { "wiat=1m",
          "1:1: --set wiat: this scenario has only the variables wait, file, arch, count" },
        { "wait", "1:1: --set takes NAME=VALUE, not 'wait'" },
        { "=1", "1:1: --set : this scenario has only" },
        { "arch=arm64", "1:1: 'arch' is x86_64 or aarch64, not 'arm64'" },
        { "file=${wait}", "1:1: --set file: a value is one line of at most 200 bytes" },
        { "wait=soon", "21:13: 'within': \"soon\" is not a duration" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_SCENARIOS struct scenarios list = { 0 };
        CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", table[i].override);
        check_int(variants(ARGV(table[i].override), &list, &mistakes, &err), -22);
        check_has(buf_str(&mistakes), table[i].mistake);
        check_str(err_text(err), "rig/scenario/testdata/good/variants.yml: 1 mistake");
        check_int((int64_t)list.n, 0);
    }
}

static int sentence(const char *text, unsigned kinds, struct scenario **ret, struct buf *mistakes,
                    struct err **err)
{
    struct scenario_request request = {
        .text = text,
        .kinds = kinds,
        .within_ms = kinds == VERB_EXPECT ? 60000 : 0,
        .folder = "rig/scenario/testdata/good",
        .devices = ARGV("edge-1", "edge-2"),
    };

    return scenario_sentence(&request, VERBS, ret, mistakes, err);
}

TEST(one_sentence_is_a_scenario_for_a_running_fleet)
{
    CLEANUP(scenario_free) struct scenario *apply = NULL, *expect = NULL;
    CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(sentence("apply hello-v1.yml", VERB_DO | VERB_FAULT, &apply, &mistakes, &err), err);
    check_int((int64_t)apply->n_devices, 2);
    check_int((int64_t)apply->n_manifests, 2);
    check_str(apply->manifests[0].deployment, "hello");
    check_int((int64_t)apply->steps[0].n_actions, 1);
    need_ok(sentence("deployment other is running on edge-2", VERB_EXPECT, &expect, &mistakes,
                     &err),
            err);
    check_int(expect->steps[0].within_ms, 60000);
    check_str(expect->steps[0].name, "deployment other is running on edge-2");
    check_int((int64_t)expect->steps[0].n_expects, 1);
    check_true(scenario_deployment(expect, "other") == NULL);
}

TEST(a_bad_sentence_is_told_without_a_place)
{
    static const struct {
        const char *text;
        unsigned kinds;
        const char *mistakes;
    } table[] = {
        { "cut power of egde-1", VERB_DO | VERB_FAULT,
          "the fleet has no device 'egde-1'; did you mean 'edge-1'?\n" },
        { "cut power of edge-1", VERB_EXPECT,
          "this sentence belongs under 'fault', not under 'expect'\n" },
        { "deployment a.b is absent on edge-1", VERB_EXPECT, "a.b" },
        { "apply none.yml", VERB_DO, "manifest 'none.yml'" },
        { "apply ../bad/manifest-shape/list.yml", VERB_DO,
          "rig/scenario/testdata/good/../bad/manifest-shape/list.yml:1:1: a manifest must be" },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP(scenario_free) struct scenario *s = NULL;
        CLEANUP_BUF struct buf mistakes = BUF_INIT(1 << 20);
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", table[i].text);
        check_int(sentence(table[i].text, table[i].kinds, &s, &mistakes, &err), -22);
        check_has(buf_str(&mistakes), table[i].mistakes);
        check_true(s == NULL);
    }
}

TEST(a_hundred_mistakes_are_shown_and_all_are_counted)
{
    CLEANUP_SCENARIOS struct scenarios list = { 0 };
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20), mistakes = BUF_INIT(1 << 20);
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_STRV char **lines = NULL;

    buf_adds(&text, "scenario: many\nstory: s\ntopology: { devices: [{ name: a }] }\nsteps:\n");
    for (int i = 0; i < 150; i++)
        buf_adds(&text, "  - { name: n, do: [jump] }\n");
    check_int(scenario_parse("many.yml", buf_str(&text), text.len, NULL, VERBS, &list, &mistakes,
                             &err),
              -22);
    check_str(err_text(err), "many.yml: 150 mistakes");
    lines = strv_split(buf_str(&mistakes), "\n");
    check_int((int64_t)strv_len(lines), SCENARIO_MAX_MISTAKES);
}

CHECK_MAIN()
