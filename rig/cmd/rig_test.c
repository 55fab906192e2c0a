/* SPDX-License-Identifier: AGPL-3.0-only */

/* The program as people call it: what it prints, and its exit codes. Nothing here starts a lab. */

#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

/* Runs rig with these arguments; its exit code. What it prints goes to *ret. */
static int rig(const char *arguments, char **ret)
{
    CLEANUP_FREE char *out = xasprintf("%s/out", check_tmpdir());
    CLEANUP_FREE char *command = NULL;
    CLEANUP_STRV char **argv = NULL;
    CLEANUP_FCLOSE FILE *f = fopen(out, "w+e");
    struct proc_spec spec = { 0 };
    struct proc p = { 0 };
    CLEANUP_ERR struct err *err = NULL;

    need_true(f && getenv("FLEETRIG_BIN"));
    command = xasprintf("%s/rig %s", getenv("FLEETRIG_BIN"), arguments);
    argv = strv_split(command, " ");
    spec.argv = argv;
    spec.out_fd = fileno(f);
    need_ok(proc_spawn(&spec, &p, &err), err);
    need_ok(proc_wait(&p, 30000, &err), err);
    need_ok(file_read(out, 1 << 20, ret, NULL, &err), err);
    return WIFEXITED(p.status) ? WEXITSTATUS(p.status) : -1;
}

TEST(our_scenarios_have_no_mistakes)
{
    CLEANUP_FREE char *out = NULL;

    check_int(rig("check scenarios", &out), 0);
    check_has(out, ", no mistakes\n");
}

TEST(a_file_with_every_key_is_accepted)
{
    CLEANUP_FREE char *out = NULL;

    check_int(rig("check rig/cmd/testdata/every-key.yml", &out), 0);
    check_str(out, "1 file with 4 scenarios, no mistakes\n");
}

TEST(the_schema_is_printed)
{
    CLEANUP_FREE char *out = NULL;

    check_int(rig("schema", &out), 0);
    check_has(out, "\"body\": \"cut power of ${1:DEVICE}\"");
}

TEST(mistakes_of_all_files_are_told_and_nothing_is_run)
{
    static const char *const commands[] = { "check", "run" };

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        CLEANUP_FREE char *arguments =
                xasprintf("%s scenarios/hello.yml rig/scenario/testdata/bad/unknown-verb/input.yml "
                          "rig/scenario/testdata/bad/missing-within/input.yml",
                          commands[i]);
        CLEANUP_FREE char *out = NULL;

        check_case("%s", commands[i]);
        check_int(rig(arguments, &out), 2);
        check_has(out,
                  "unknown-verb/input.yml:10:9: after 'device edge-1 is' expected 'reachable'");
        check_has(out, "missing-within/input.yml:6:5: 'expect' needs 'within'");
        check_true(!strstr(out, "embedded control plane"));
    }
}

TEST(wrong_usage_is_2)
{
    static const char *const usages[] = {
        "",
        "rn",
        "run",
        "check",
        "run --acel tcg scenarios/hello.yml",
        "run --accel hvf scenarios/hello.yml",
        "run --config /nowhere/rig.yml scenarios/hello.yml",
        "check /nowhere/hello.yml",
        "list /nowhere",
        "check rig/scenario",
        "verbs extra",
        "run --jobs 0 scenarios/hello.yml",
        "run --jobs many scenarios/hello.yml",
        "run --repeat -1 scenarios/hello.yml",
    };

    for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
        CLEANUP_FREE char *out = NULL;

        check_case("rig %s", usages[i]);
        check_int(rig(usages[i], &out), 2);
        check_true(*out != '\0');
    }
}

TEST(a_tag_that_no_scenario_bears_runs_nothing)
{
    CLEANUP_FREE char *out = NULL;

    check_int(rig("run --tag none scenarios/hello.yml", &out), 77);
    check_str(out, "0 passed, 0 failed, 1 skipped\n");
}

/* A folder with a scenario that has a matrix, and a manifest beside it. */
static char *made_folder(void)
{
    static const char text[] = "scenario: many\nstory: Many of them.\ntags: [load]\nneeds: kvm\n"
                               "vars: { wait: 1m }\nmatrix: { count: [1, 3] }\n"
                               "topology: { devices: [{ name: edge, count: '${count}' }] }\n"
                               "steps:\n"
                               "  - name: up\n"
                               "    expect: device edge-* is reachable\n"
                               "    within: ${wait}\n";
    static const char manifest[] = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";
    char *folder = xasprintf("%s/folder", check_tmpdir());
    CLEANUP_FREE char *many = xasprintf("%s/many.yml", folder);
    CLEANUP_FREE char *other = xasprintf("%s/manifest.yml", folder);
    CLEANUP_ERR struct err *err = NULL;

    need_ok(dir_make(folder, 0755, &err), err);
    need_ok(file_write(many, text, strlen(text), 0644, &err), err);
    need_ok(file_write(other, manifest, strlen(manifest), 0644, &err), err);
    return folder;
}

TEST(folders_and_matrices_are_checked_and_listed)
{
    CLEANUP_FREE char *folder = made_folder(), *out = NULL, *want = NULL, *args = NULL;

    args = xasprintf("check %s", folder);
    check_int(rig(args, &out), 0);
    check_str(out, "1 file with 2 scenarios, no mistakes\n");
    free(out);
    free(args);
    args = xasprintf("list --tag load --tag other %s", folder);
    check_int(rig(args, &out), 0);
    want = xasprintf("many  1 to 3 devices  [load]  %s/many.yml\n    Many of them.\n    needs kvm\n"
                     "      many[count=1]\n      many[count=3]\n",
                     folder);
    check_str(out, want);
    free(out);
    free(args);
    args = xasprintf("list --tag other %s", folder);
    check_int(rig(args, &out), 0);
    check_str(out, "");
}

TEST(variables_can_be_given_from_outside)
{
    static const struct {
        const char *set, *out;
        int code;
    } table[] = {
        { "--set wait=2m --set count=2", "1 file, no mistakes\n", 0 },
        { "--set wait=2", "many.yml:11:13: 'within': \"2\" is not a duration", 2 },
        { "--set wiat=2m", "many.yml:1:1: --set wiat: this scenario has only the variables", 2 },
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_FREE char *folder = made_folder(), *out = NULL;
        CLEANUP_FREE char *args = xasprintf("check %s %s", table[i].set, folder);

        check_case("%s", table[i].set);
        check_int(rig(args, &out), table[i].code);
        check_has(out, table[i].out);
    }
}

TEST(a_scenario_whose_needs_are_not_met_is_skipped_with_the_reason)
{
    static const char *const ways[] = { "run", "run --tap", "run --dry-run" };
    CLEANUP_FREE char *path = xstrdup(getenv("PATH")), *junit = NULL;
    CLEANUP_FREE char *report = xasprintf("%s/junit.xml", check_tmpdir()), *xml = NULL;
    CLEANUP_ERR struct err *err = NULL;

    setenv("PATH", "/nowhere", 1);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        CLEANUP_FREE char *command = xasprintf("%s rig/cmd/testdata/needs-k3d.yml", ways[i]);
        CLEANUP_FREE char *out = NULL;

        check_case("%s", ways[i]);
        check_int(rig(command, &out), 77);
        check_has(out, "skip  needs-k3d: needs k3d: ");
        if (strstr(ways[i], "tap"))
            check_has(out, "# SKIP needs k3d: ");
    }
    junit = xasprintf("run --junit %s rig/cmd/testdata/needs-k3d.yml", report);
    rig(junit, &xml);
    free(steal_ptr(xml));
    need_ok(file_read(report, 1 << 20, &xml, NULL, &err), err);
    check_has(xml, "<skipped message=\"needs k3d: ");
    setenv("PATH", path, 1);
}

TEST(a_host_without_the_memory_is_told_how_much_is_missing)
{
    CLEANUP_FREE char *out = NULL;

    setenv("FLEETRIG_MEMORY_MB", "1700", 1);
    check_int(rig("run scenarios/hello.yml", &out), 3);
    unsetenv("FLEETRIG_MEMORY_MB");
    check_has(out, "FAIL  hello: 2 devices of 1024 MiB and what runs beside need 3260 MiB of "
                   "memory, 1700 MiB are available here");
    check_has(out, "memory_mb in rig.yml");
    check_has(out, "0 passed, 1 failed, 0 skipped");
}

TEST(the_doctor_says_what_is_missing_and_what_to_do)
{
    CLEANUP_FREE char *path = xstrdup(getenv("PATH")), *out = NULL, *json = NULL;
    CLEANUP_JSON json_t *facts = NULL;
    CLEANUP_ERR struct err *err = NULL;

    setenv("PATH", "/nowhere", 1);
    setenv("FLEETRIG_MEMORY_MB", "1000", 1);
    check_int(rig("doctor", &out), 3);
    check_int(rig("doctor -o json", &json), 3);
    setenv("PATH", path, 1);
    unsetenv("FLEETRIG_MEMORY_MB");
    check_has(out, "MISS  QEMU             starting qemu-system-x86_64: not found in PATH\n");
    check_has(out, "apt-get install qemu-system-x86");
    check_has(out, "MISS  memory           1000 MiB available\n");
    check_has(out, "Scenarios cannot run here");
    need_ok(json_parse(json, strlen(json) - 1, 1 << 20, &facts, &err), err);
    check_true(json_is_false(json_path(facts, "ok")));
    check_str(json_path_str(facts, "facts.0.name"), "cache");
}

TEST(a_folder_that_may_not_be_written_is_named_with_what_to_do)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *file = xasprintf("%s/file", dir), *run = NULL, *said = NULL;
    CLEANUP_FREE char *doctor = NULL, *told = NULL;
    CLEANUP_ERR struct err *err = NULL;

    /* A file where the folder should be: nobody may write there, not even root. */
    need_ok(file_write(file, "", 0, 0600, &err), err);
    run = xasprintf("run --report-dir %s/runs scenarios/hello.yml", file);
    check_int(rig(run, &said), 3);
    check_has(said, file);
    doctor = xasprintf("doctor --report-dir %s", file);
    check_int(rig(doctor, &told), 3);
    check_has(told, "MISS  runs");
}

TEST(a_dry_run_tells_steps_and_times_and_starts_nothing)
{
    CLEANUP_FREE char *out = NULL;
    CLEANUP_FREE char *dir = xasprintf("%s/runs", check_tmpdir());
    CLEANUP_FREE char *command =
            xasprintf("run --dry-run --report-dir %s scenarios/power-cycle-one.yml", dir);

    check_int(rig(command, &out), 0);
    check_has(out, "power-cycle-one: 1 device (x86_64, 1024 MiB)");
    check_has(out, "   3. power fails                                          within 2m00s\n");
    check_has(out, "1 scenario: at most 12m");
    check_true(!file_exists(dir));
}

TEST(scenarios_are_listed)
{
    CLEANUP_FREE char *out = NULL, *ours = NULL;

    check_int(rig("list scenarios", &out), 0);
    check_has(out, "power-cycle  2 devices  [power]  scenarios/power-cycle.yml\n"
                   "    A device loses power while it runs a workload.\n");
    check_int(rig("list", &ours), 0);
    check_has(ours, "hello  2 devices  [deployment]  ");
}

/* In a cache of its own, where no fleet is. */
TEST(commands_for_a_fleet_say_that_there_is_none)
{
    static const struct {
        const char *arguments, *want;
        int code;
    } cases[] = {
        { "status", "no fleet local is up\nstart one with: rig up\n", 2 },
        { "status -o json --name other",
          "no fleet other is up\nstart one with: rig up --name other\n", 2 },
        { "ssh edge-1 ls -l", "no fleet local is up\n", 2 },
        { "logs -f", "no fleet local is up\n", 2 },
        { "kubectl get pods -A --watch", "no fleet local is up\n", 2 },
        { "do cut power of edge-1", "no fleet local is up\n", 2 },
        { "expect device edge-1 is reachable", "no fleet local is up\n", 2 },
        { "redeploy agent", "no fleet local is up\n", 2 },
        { "down", "no fleet local is up\n", 0 },
        { "names ssh", "", 0 },
        { "names do cut power", "of\n", 0 },
        { "names redeploy", "agent\noperator\n", 0 },
        { "status --name ../x", "'../x' is no name of a fleet", 2 },
        { "ssh", "DEVICE [COMMAND...] is missing", 2 },
        { "up --devices 0", "--devices must be a number from 1 to 64, not '0'", 2 },
        { "up --devices 2x", "--devices must be a number from 1 to 64, not '2x'", 2 },
        { "up --labels group", "--labels: 'group': not KEY=VALUE", 2 },
        { "up --labels =a", "--labels: '=a': ", 2 },
        { "up --deploy /nowhere.yml", "--deploy /nowhere.yml: No such file or directory", 2 },
        { "up --control-plane k3d", "only one of embedded", 2 },
        { "expect x --within 5", "--within: ", 2 },
        { "expect x --within 0s", "--within: must be from 1ms to 24h", 2 },
        { "expect x --within 5s --holds 5s", "--within and --holds exclude each other", 2 },
        { "logs -n many", "--lines must be a number", 2 },
        { "redeploy nats", "'nats' is neither agent nor operator", 2 },
        { "redeploy operator edge-1", "the operator runs on no device", 2 },
    };
    const char *cache = getenv("XDG_CACHE_HOME");
    CLEANUP_FREE char *before = xstrdup(cache);

    setenv("XDG_CACHE_HOME", check_tmpdir(), 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *out = NULL;

        check_case("%s", cases[i].arguments);
        check_int(rig(cases[i].arguments, &out), cases[i].code);
        check_has(out, cases[i].want);
    }
    if (before)
        setenv("XDG_CACHE_HOME", before, 1);
    else
        unsetenv("XDG_CACHE_HOME");
}

TEST(completion_and_man_page_are_printed)
{
    CLEANUP_FREE char *bash = NULL, *zsh = NULL, *man = NULL, *fish = NULL;

    check_int(rig("completion bash", &bash), 0);
    check_has(bash, "complete -F _rig rig\n");
    check_int(rig("completion zsh", &zsh), 0);
    check_has(zsh, "#compdef rig\n");
    check_int(rig("man", &man), 0);
    check_has(man, ".SH EXIT STATUS\n");
    check_int(rig("completion fish", &fish), 2);
    check_has(fish, "'fish' is none of bash, zsh");
}

TEST(verbs_are_listed)
{
    CLEANUP_FREE char *out = NULL, *markdown = NULL;

    check_int(rig("verbs", &out), 0);
    check_has(out, "  cut power of DEVICE...\n      hard power cut");
    check_has(out, "\n  PORT        a number from 1 to 65535\n");
    check_int(rig("verbs --markdown", &markdown), 0);
    check_has(markdown, "| `cut power of DEVICE...` | hard power cut");
}

/* A folder of runs with one that died, and one of a rig that wrote no history. */
static char *some_runs(void)
{
    char *dir = xasprintf("%s/runs", check_tmpdir());
    CLEANUP_FREE char *died = xasprintf("%s/20260421T000000Z-hello-1", dir);
    CLEANUP_FREE char *old = xasprintf("%s/20260420T000000Z-old-1", dir);
    CLEANUP_FREE char *path = xasprintf("%s/history.jsonl", died), *text = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t len = 0;

    text = check_read("rig/run/testdata/died.jsonl", &len);
    need_ok(dir_make(died, 0700, &err), err);
    need_ok(dir_make(old, 0700, &err), err);
    need_ok(file_write(path, text, len, 0600, &err), err);
    return dir;
}

TEST(a_run_that_died_has_a_report)
{
    CLEANUP_FREE char *dir = some_runs(), *out = NULL;
    CLEANUP_FREE char *arguments = xasprintf("report --report-dir %s", dir);
    CLEANUP_FREE char *page = xasprintf("%s/20260421T000000Z-hello-1/report.html", dir);

    check_int(rig(arguments, &out), 0);
    check_has(out, ": died\nIts history has no end");
    check_has(out, page);
    check_true(file_exists(page));
}

TEST(a_report_is_text_html_or_junit)
{
    CLEANUP_FREE char *dir = some_runs(), *out = NULL, *silent = NULL;
    CLEANUP_FREE char *text = xasprintf("report --text hello --report-dir %s", dir);
    CLEANUP_FREE char *files = xasprintf("report --html %s/a.html --junit %s/a.xml hello "
                                         "--report-dir %s",
                                         dir, dir, dir);
    CLEANUP_FREE char *page = xasprintf("%s/20260421T000000Z-hello-1/report.html", dir);
    CLEANUP_FREE char *html = xasprintf("%s/a.html", dir), *xml = xasprintf("%s/a.xml", dir);

    check_int(rig(text, &out), 0);
    check_has(out, "Its history has no end");
    check_int(rig(files, &silent), 0);
    check_str(silent, "");
    check_true(file_exists(html) && file_exists(xml) && !file_exists(page));
}

TEST(runs_are_listed_and_one_without_a_history_is_told)
{
    CLEANUP_FREE char *dir = some_runs(), *out = NULL, *why = NULL;
    CLEANUP_FREE char *list = xasprintf("report --list --report-dir %s", dir);
    CLEANUP_FREE char *old = xasprintf("report old --report-dir %s", dir);

    check_int(rig(list, &out), 0);
    check_has(out, "died ");
    check_has(out, "no history ");
    check_int(rig(old, &why), 2);
    check_has(why, "20260420T000000Z-old-1 has no history of the run\nan older rig made it");
}

TEST(where_nothing_ran_there_is_no_report)
{
    CLEANUP_FREE char *out = NULL;

    check_int(rig("report --report-dir /nonexistent", &out), 77);
    check_str(out, "there are no runs in /nonexistent\n");
}

CHECK_MAIN()
