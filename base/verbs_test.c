/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/verbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"

/* Prints what it was called with. */
static int show(const struct verbs_args *args, void *userdata)
{
    printf("command=%s", args->command);
    for (size_t i = 0; args->options && args->options[i].name; i++)
        if (args->values[i])
            printf(" %s=[%s]", args->options[i].name, args->values[i]);
    for (size_t i = 0; i < args->n_positional; i++)
        printf(" <%s>", args->positional[i]);
    printf(" end=%s\n", args->positional[args->n_positional] ? "bad" : "NULL");
    return *(int *)userdata;
}

static const struct verbs_option run_options[] = {
    { "report-dir", 'r', "DIR", "put reports and evidence there", NULL },
    { "arch", 'a', "ARCH", "architecture of the devices", "x86_64|aarch64" },
    { "keep", 'k', NULL, "keep the lab when a scenario failed", NULL },
    { "set", 0, "NAME=VALUE",
      "override a variable of the scenario; this help is long enough that it has to go on in "
      "another line",
      NULL },
    { "a-name-that-is-too-long-for-its-column", 0, "VALUE", "stands on a line of its own", NULL },
    { "inner", 0, "VALUE", NULL, NULL },
    { 0 },
};

static const struct verbs_option on_options[] = {
    { "name", 0, "NAME", "of the fleet", NULL },
    { 0 },
};

static const struct verbs_command commands[] = {
    { .name = "run",
      .arguments = "FILE...",
      .min = 1,
      .max = -1,
      .help = "run scenarios",
      .details = "Runs each scenario in a lab of its own. A paragraph is filled\nhowever its lines "
                 "are broken in the table, until eighty columns are full.\n\n"
                 "    rig run scenarios/power-cycle.yml\n    .dots and \\ and 'quotes' stay\n\n"
                 "A caf\xc3\xa9 is counted in characters.\n",
      .options = run_options,
      .complete = "file:*.yml",
      .run = show },
    { .name = "up", .arguments = "", .max = 0, .help = "keep a lab: it's [up]", .run = show },
    { .name = "ssh",
      .arguments = "DEVICE [COMMAND...]",
      .min = 1,
      .max = 2,
      .help = "open a shell on a device",
      .complete = "none",
      .run = show },
    { .name = "on",
      .arguments = "DEVICE COMMAND...",
      .min = 1,
      .max = -1,
      .help = "run a command on a device",
      .options = on_options,
      .passes_on = true,
      .complete = "command:names",
      .run = show },
    { .name = "kubectl",
      .arguments = "[ARGUMENT...]",
      .max = -1,
      .help = "run kubectl",
      .options = on_options,
      .passes_on = true,
      .run = show },
    { .name = "completion",
      .arguments = "bash|zsh",
      .min = 1,
      .max = 1,
      .help = "print it",
      .complete = "words:bash|zsh",
      .run = show },
    { .name = "names", .arguments = "COMMAND...", .min = 1, .max = -1, .run = show },
    { 0 },
};

static const struct verbs_program rig = {
    .name = "rig",
    .version = "0.1.0",
    .summary = "Runs declarative scenarios against a fleet",
    .exit_codes = "0  passed\n1  a scenario failed\n2  usage or a bad file",
    .commands = commands,
};

static const struct verbs_option agent_options[] = {
    { "config", 'c', "FILE", "settings file", NULL },
    { "self-test", 0, NULL, "say whether this binary could run here", NULL },
    { "version", 0, "VERSION", "a table may have its own", NULL },
    { 0 },
};

static const struct verbs_command agent_commands[] = {
    { .name = "",
      .arguments = "",
      .max = 0,
      .help = "",
      .details = "Watches its desired state.",
      .options = agent_options,
      .run = show },
    { 0 },
};

static const struct verbs_program agent = {
    .name = "fleet-agent",
    .version = "0.1.0",
    .summary = "Keeps the containers of a device as desired",
    .commands = agent_commands,
};

/* Calls verbs_main() in a child and captures both outputs in one. Returns the exit code. */
static int call(const struct verbs_program *program, char *const *words, char **ret_output)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    CLEANUP_STRV char **argv = NULL;
    char chunk[4096];
    int fds[2], status = 0;
    ssize_t n;
    pid_t pid;

    strv_add(&argv, program->name);
    for (; *words; words++)
        strv_add(&argv, *words);
    need_true(pipe2(fds, O_CLOEXEC) == 0);
    pid = fork();
    need_true(pid >= 0);
    if (pid == 0) {
        int code = 42;

        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        code = verbs_main(program, (int)strv_len(argv), argv, &code);
        fflush(stdout);
        _exit(code);
    }
    close(fds[1]);
    while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
        buf_add(&out, chunk, (size_t)n);
    close(fds[0]);
    need_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    *ret_output = buf_steal(&out);
    return WEXITSTATUS(status);
}

TEST(words_and_options_reach_the_command_and_its_code_comes_back)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        { "run a.yml", "command=run <a.yml>" },
        { "run a.yml -r out b.yml", "command=run report-dir=[out] <a.yml> <b.yml>" },
        { "run --report-dir out a", "command=run report-dir=[out] <a>" },
        { "run --report-dir=out a", "command=run report-dir=[out] <a>" },
        { "run --report-dir= a", "command=run report-dir=[] <a>" },
        { "run -rout a", "command=run report-dir=[out] <a>" },
        { "run -kr out a", "command=run report-dir=[out] keep=[] <a>" },
        { "run -k a", "command=run keep=[] <a>" },
        { "run -r one -r two a", "command=run report-dir=[two] <a>" },
        { "run --arch aarch64 a", "command=run arch=[aarch64] <a>" },
        { "run -- --keep -k", "command=run <--keep> <-k>" },
        { "run - a", "command=run <-> <a>" },
        { "run --set a=b x", "command=run set=[a=b] <x>" },
        { "run --set=a=b x", "command=run set=[a=b] <x>" },
        { "up", "command=up" },
        { "ssh pi ls", "command=ssh <pi> <ls>" },
        { "on pi ls -l --name x", "command=on <pi> <ls> <-l> <--name> <x>" },
        { "on --name x pi -- ls --help", "command=on name=[x] <pi> <--> <ls> <--help>" },
        { "on -- pi --", "command=on <pi> <-->" },
        { "kubectl", "command=kubectl" },
        { "kubectl get pods -A -o json", "command=kubectl <get> <pods> <-A> <-o> <json>" },
        { "kubectl -n x --name=y get", "command=kubectl <-n> <x> <--name=y> <get>" },
        { "kubectl --name=y -n x get", "command=kubectl name=[y] <-n> <x> <get>" },
        { "kubectl --names=y", "command=kubectl <--names=y>" },
        { "completion zsh", "command=completion <zsh>" },
        { "names on pi", "command=names <on> <pi>" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_STRV char **words = strv_split(cases[i].line, " ");
        CLEANUP_FREE char *out = NULL, *want = xasprintf("%s end=NULL\n", cases[i].want);

        check_case("%s", cases[i].line);
        check_int(call(&rig, words, &out), 42);
        check_str(out, want);
    }
}

/* Prints every value of --set, however often it was given. */
static int show_set(const struct verbs_args *args, void *userdata)
{
    CLEANUP_STRV char **values = verbs_values(args, "set");
    CLEANUP_FREE char *all = strv_join(values, " ");

    (void)userdata;
    printf("%s of %zu options\n", all, args->n_given);
    return 0;
}

TEST(an_option_that_is_given_again_keeps_all_its_values)
{
    static const struct verbs_command command[] = {
        { .name = "", .options = run_options, .max = -1, .run = show_set }, { 0 }
    };
    const struct verbs_program program = { .name = "rig", .commands = command };
    CLEANUP_FREE char *out = NULL, *none = NULL;

    check_int(call(&program, ARGV("--set", "a=1", "-k", "x", "--set=b=2"), &out), 0);
    check_str(out, "a=1 b=2 of 3 options\n");
    check_int(call(&program, ARGV("x"), &none), 0);
    check_str(none, " of 0 options\n");
}

TEST(an_option_without_help_is_taken_but_shown_nowhere)
{
    static char *const asked[][4] = {
        { (char *)"run", (char *)"--help", NULL },
        { (char *)"--man", NULL },
        { (char *)"--completion", (char *)"bash", NULL },
        { (char *)"--completion", (char *)"zsh", NULL },
        { (char *)"run", (char *)"--innr=x", (char *)"a", NULL },
    };
    CLEANUP_FREE char *taken = NULL;

    check_int(call(&rig, ARGV("run", "--inner", "x", "a"), &taken), 42);
    check_str(taken, "command=run inner=[x] <a> end=NULL\n");
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        CLEANUP_FREE char *out = NULL;

        check_case("%s", asked[i][0]);
        call(&rig, asked[i], &out);
        check_true(!strstr(out, "inner"));
    }
}

TEST(a_program_without_subcommands_takes_its_words_at_once)
{
    CLEANUP_FREE char *out = NULL, *versioned = NULL;

    check_int(call(&agent, ARGV("-c", "/etc/agent.yml", "--self-test"), &out), 42);
    check_str(out, "command= config=[/etc/agent.yml] self-test=[] end=NULL\n");
    check_int(call(&agent, ARGV("--version", "7"), &versioned), 42);
    check_str(versioned, "command= version=[7] end=NULL\n");
}

TEST(mistakes_say_what_is_wrong_and_what_was_meant)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        { "", "rig: a command is missing\nTry 'rig --help'.\n" },
        { "rnu", "rig: unknown command 'rnu', did you mean 'run'?\nTry 'rig --help'.\n" },
        { "frobnicate", "rig: unknown command 'frobnicate'\nTry 'rig --help'.\n" },
        { "--hepl", "rig: unknown option '--hepl', did you mean '--help'?\nTry 'rig --help'.\n" },
        { "-x run", "rig: unknown option '-x'\nTry 'rig --help'.\n" },
        { "--keep run a", "rig: unknown option '--keep'\nTry 'rig --help'.\n" },
        { "run --reportdir=x a", "rig run: unknown option '--reportdir', did you mean "
                                 "'--report-dir'?\nTry 'rig run --help'.\n" },
        { "run", "rig run: FILE... is missing\nTry 'rig run --help'.\n" },
        { "run a -r", "rig run: -r needs a value: DIR\nTry 'rig run --help'.\n" },
        { "run a --report-dir",
          "rig run: --report-dir needs a value: DIR\nTry 'rig run --help'.\n" },
        { "run a --keep=yes", "rig run: --keep takes no value\nTry 'rig run --help'.\n" },
        { "run a -a x86-64", "rig run: --arch cannot be 'x86-64', only one of x86_64, aarch64, did "
                             "you mean 'x86_64'?\nTry 'rig run --help'.\n" },
        { "up now", "rig up: 'now' is one argument too many\nTry 'rig up --help'.\n" },
        { "on -x pi", "rig on: unknown option '-x'\nTry 'rig on --help'.\n" },
        { "completion zs", "rig completion: 'zs' is none of bash, zsh, did you mean 'zsh'?\n"
                           "Try 'rig completion --help'.\n" },
        { "name x", "rig: unknown command 'name'\nTry 'rig --help'.\n" },
        { "ssh a b c", "rig ssh: 'c' is one argument too many\nTry 'rig ssh --help'.\n" },
        { "--completion fish",
          "rig: --completion cannot be 'fish', only one of bash, zsh\nTry 'rig --help'.\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_STRV char **words = strv_split(cases[i].line, " ");
        CLEANUP_FREE char *out = NULL;

        check_case("%s", cases[i].line);
        check_int(call(&rig, words, &out), 2);
        check_str(out, cases[i].want);
    }
}

TEST(help_version_man_page_and_completion_come_from_the_table)
{
    static const struct {
        const struct verbs_program *program;
        const char *line, *golden;
    } cases[] = {
        { &rig, "--help", "rig-help.txt" },
        { &rig, "run --help", "rig-run-help.txt" },
        { &rig, "run -h ignored --arch aarch64", "rig-run-help.txt" },
        { &rig, "up -h", "rig-up-help.txt" },
        { &rig, "--version", "rig-version.txt" },
        { &rig, "up --version", "rig-version.txt" },
        { &rig, "--man", "rig.1" },
        { &rig, "--completion bash", "rig.bash" },
        { &rig, "--completion=zsh", "rig.zsh" },
        { &agent, "--help", "agent-help.txt" },
        { &agent, "--man", "agent.1" },
        { &agent, "--completion bash", "agent.bash" },
        { &agent, "--completion zsh", "agent.zsh" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_STRV char **words = strv_split(cases[i].line, " ");
        CLEANUP_FREE char *out = NULL, *path = xasprintf("base/testdata/verbs/%s", cases[i].golden);

        check_case("%s %s", cases[i].program->name, cases[i].line);
        check_int(call(cases[i].program, words, &out), 0);
        check_golden(out, path);
    }
}

TEST(help_fits_into_eighty_columns)
{
    CLEANUP_FREE char *out = NULL;

    check_int(call(&rig, ARGV("run", "--help"), &out), 0);
    for (const char *line = out; *line;) {
        size_t n = strcspn(line, "\n");

        check_case("%.*s", (int)n, line);
        check_true(n < 82); /* bytes: one character of this text has two */
        line += n + (line[n] == '\n');
    }
}

/* The program as completion scripts ask it. */
static const char asked[] = "rig() { [ \"$1\" = names ] || { echo \"ran: $*\"; return; }; "
                            "shift; printf '%s\\n' edge-1 edge-2 after-$(IFS=,; echo \"$*\"); }";

/* What bash would offer for the words of `line`, the last of which is being typed. */
static char *completed(const struct verbs_program *program, const char *line)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 16);
    CLEANUP_FREE char *script = NULL, *full = NULL;

    call(program, ARGV("--completion", "bash"), &script);
    full = xasprintf("cd base/testdata/verbs/complete || exit 1\n%s\n%s\nCOMP_WORDS=(%s)\n"
                     "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n%s\necho \"${COMPREPLY[*]}\"\n",
                     script, asked, line, program == &rig ? "_rig" : "_fleet_agent");
    check_ok(proc_run(ARGV("bash", "-s"), full, 20000, &out, NULL, &err), err);
    return buf_steal(&out);
}

TEST(bash_completes_commands_options_values_and_files)
{
    static const struct {
        const struct verbs_program *program;
        const char *line, *want;
    } cases[] = {
        { &rig, "rig ''", "run up ssh on kubectl completion --help --version\n" },
        { &rig, "rig r", "run\n" },
        { &rig, "rig --v", "--version\n" },
        { &rig, "rig run --re", "--report-dir\n" },
        { &rig, "rig run --arch a", "aarch64\n" },
        { &rig, "rig run --arch = x", "x86_64\n" },
        { &rig, "rig run --arch =", "x86_64 aarch64\n" },
        { &rig, "rig run -r ''", "folder\n" },
        { &rig, "rig run ''", "folder a.yml\n" },
        { &rig, "rig up ''", "\n" },
        { &rig, "rig completion z", "zsh\n" },
        { &rig, "rig on ''", "edge-1 edge-2 after-on\n" },
        { &rig, "rig on ed", "edge-1 edge-2\n" },
        { &rig, "rig on edge-1 a", "after-on,edge-1\n" },
        { &rig, "rig up --", "--help --version\n" },
        { &agent, "fleet-agent --s", "--self-test\n" },
        { &agent, "fleet-agent -c ''", "a.yml b.txt folder\n" },
    };

    if (access("/bin/bash", X_OK) < 0)
        check_skip("no bash here");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = NULL;
        CLEANUP_STRV char **a = NULL, **b = NULL;
        CLEANUP_FREE char *sorted = NULL, *want = NULL;

        check_case("%s", cases[i].line);
        got = completed(cases[i].program, cases[i].line);
        /* compgen lists files in the order of the folder. */
        a = strv_split(got, " \n");
        b = strv_split(cases[i].want, " \n");
        strv_sort(a);
        strv_sort(b);
        sorted = strv_join(a, " ");
        want = strv_join(b, " ");
        check_str(sorted, want);
    }
}

/* What a person sees who types `keys` into a zsh of their own. */
static char *typed(const char *keys)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 16);
    CLEANUP_FREE char *script = NULL, *full = NULL;
    const char *dir = check_tmpdir();

    call(&rig, ARGV("--completion", "zsh"), &script);
    full = xasprintf("cd base/testdata/verbs/complete || exit 1\n"
                     "cat >%s/.zshrc <<'END'\n"
                     "autoload -U compinit\ncompinit -u -d %s/dump\n%s\n%s\nEND\n"
                     "export ZDOTDIR=%s TERM=dumb\nzmodload zsh/zpty\nzpty inner zsh -i\n"
                     "zpty -w inner \"%s\"\nzpty -w inner exit\n"
                     "while zpty -r inner line; do print -r -- \"$line\"; done\n",
                     dir, dir, script, asked, dir, keys);
    check_ok(proc_run(ARGV("zsh", "-f", "-s"), full, 20000, &out, NULL, &err), err);
    return buf_steal(&out);
}

TEST(zsh_completes_commands_options_values_and_files)
{
    static const struct {
        const char *keys, *want;
    } cases[] = {
        { "rig ku\tget", "ran: kubectl get" },
        { "rig run --re\tx", "ran: run --report-dir=x" },
        { "rig run --arch a\t", "ran: run --arch aarch64" },
        { "rig run a\t", "ran: run a.yml" },
        { "rig on edge-1 af\t", "ran: on edge-1 after-on,edge-1" },
        { "rig on ed\t1", "ran: on edge-1" },
        { "rig nam\t", "ran: nam" },
    };

    if (access("/bin/zsh", X_OK) < 0)
        check_skip("no zsh here");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = NULL;

        check_case("%s", cases[i].keys);
        got = typed(cases[i].keys);
        check_has(got, cases[i].want);
    }
}

TEST(a_name_that_is_not_in_the_table_aborts)
{
    static const struct verbs_args args = { .command = "up" };
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        close(STDERR_FILENO);
        verbs_value(&args, "keep");
        _exit(0);
    }
    need_true(waitpid(pid, &status, 0) == pid);
    check_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

CHECK_MAIN()
