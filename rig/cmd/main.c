/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/cmd/rig.h"

static const struct verbs_command commands[] = {
    { .name = "run",
      .arguments = "FILE|DIR...",
      .min = 0,
      .max = -1,
      .help = "run scenarios, each in a fleet of its own",
      .details = "Every file is checked before anything starts. For each scenario a control plane "
                 "and its devices are made, the components deployed, the steps run, and all of it "
                 "taken down again, also on failure and on Ctrl-C. Reports, and the evidence of a "
                 "failure, are left in a folder whose path is printed.",
      .options = cmd_run_options,
      .complete = "file:*.yml",
      .run = cmd_run },
    { .name = "report",
      .arguments = "[RUN]",
      .min = 0,
      .max = 1,
      .help = "show what became of a run: an HTML page, and a summary",
      .details = "RUN is the folder of a run, its name or what that begins with, or a scenario, of "
                 "which the last run is meant; without it, the last run of all. The page is made "
                 "again from the history of the run and from its evidence, also when the run died, "
                 "and opened where there is a display.",
      .options = cmd_report_options,
      .complete = "none",
      .run = cmd_report },
    { .name = "check",
      .arguments = "FILE|DIR...",
      .min = 1,
      .max = -1,
      .help = "check scenario files without starting anything",
      .details = "Prints every mistake with its line and column. Of a folder the scenarios in it "
                 "are meant (*.yml, without manifests).",
      .options = cmd_check_options,
      .complete = "file:*.yml",
      .run = cmd_check },
    { .name = "list",
      .arguments = "[FILE|DIR...]",
      .min = 0,
      .max = -1,
      .help = "list scenarios: name, devices, tags and what it is about",
      .options = cmd_list_options,
      .complete = "none",
      .run = cmd_list },
    { .name = "doctor",
      .arguments = "",
      .help = "say what this host can provide, and what to install for the rest",
      .details = "Marks: ok; less: scenarios run without it, slower or not all of them; MISS: none "
                 "runs without it. Exit status 3 when there is any MISS.",
      .options = cmd_doctor_options,
      .complete = "none",
      .run = cmd_doctor },
    { .name = "heal",
      .arguments = "",
      .help = "take back what dead runs left",
      .details = "A rig that was killed, or whose host went down, leaves processes, machines and "
                 "folders behind. Each run keeps a ledger of them; this ends and removes "
                 "what the ledgers of dead runs name, and says each thing. Running it again does "
                 "nothing. 'rig run' does the same before it begins.",
      .options = cmd_heal_options,
      .complete = "none",
      .run = cmd_heal },
    { .name = "verbs",
      .arguments = "",
      .min = 0,
      .max = 0,
      .help = "list the sentences that a scenario can be made of",
      .options = cmd_verbs_options,
      .complete = "none",
      .run = cmd_verbs },
    { .name = "schema",
      .arguments = "",
      .min = 0,
      .max = 0,
      .help = "print a JSON Schema of scenario files, for editors",
      .details =
              "    rig schema >scenarios/schema.json\n\n"
              "With `# yaml-language-server: $schema=schema.json` as the first line of a scenario "
              "an editor with the YAML language server completes keys and sentences and marks "
              "most mistakes. `rig check` finds all of them.",
      .complete = "none",
      .run = cmd_schema },
    { .name = "completion",
      .arguments = "bash|zsh",
      .min = 1,
      .max = 1,
      .help = "print what makes a shell complete rig's commands",
      .details =
              "For every new shell:\n\n"
              "    rig completion bash >~/.local/share/bash-completion/completions/rig\n"
              "    rig completion zsh >~/.zfunc/_rig    # with fpath+=~/.zfunc before compinit\n",
      .complete = "words:bash|zsh",
      .run = cmd_completion },
    { .name = "man",
      .arguments = "",
      .help = "print the man page",
      .details = "    rig man | man -l -\n",
      .complete = "none",
      .run = cmd_man },
    { 0 },
};

static const struct verbs_program program = {
    .name = "rig",
    .version = FLEETRIG_VERSION,
    .summary = "runs fleet scenarios on real machines",
    .exit_codes = "0    everything passed\n"
                  "1    a scenario failed\n"
                  "2    wrong usage, or a bad file: nothing was started\n"
                  "3    this host cannot provide the lab\n"
                  "77   nothing ran\n"
                  "130  interrupted (Ctrl-C), and everything taken down\n"
                  "143  terminated (TERM, HUP), and everything taken down\n",
    .commands = commands,
};

int main(int argc, char **argv)
{
    return verbs_main(&program, argc, argv, (void *)&program);
}
