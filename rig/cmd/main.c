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
      .help = "take back what dead runs left, and faults of fleets that stay up",
      .details = "A rig that was killed, or whose host went down, leaves processes, machines and "
                 "folders behind. Each run, and each fleet of 'rig up', keeps a ledger of them; "
                 "this ends and removes what the ledgers of dead ones name, takes back the open "
                 "faults of living fleets, and says each thing. Running it again does nothing. "
                 "'rig run' and 'rig up' do the same for dead ones before they begin.",
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
    { .name = "up",
      .arguments = "",
      .help = "start a local fleet that stays up",
      .details =
              "A control plane and devices edge-1 to edge-N, as scenarios have them, in the "
              "background. Prints where everything is. Ctrl-C before that takes the half-made fleet "
              "down. When the fleet is up already nothing is changed and the same is printed; when "
              "another rig up is at it, that one is waited for.\n\n"
              "    rig up --devices 4 --deploy scenarios/manifests/hello-v1.yml\n\n"
              "What the fleet consists of ends with its keeper, a process in the background, "
              "whatever ends that.",
      .options = cmd_up_options,
      .complete = "none",
      .run = cmd_up },
    { .name = "down",
      .arguments = "",
      .help = "take the fleet down",
      .details =
              "Returns when everything has ended and the fleet's folder is gone. One that is not "
              "up is fine; what a dead one left is cleared away.",
      .options = cmd_down_options,
      .complete = "none",
      .run = cmd_down },
    { .name = "status",
      .arguments = "",
      .help = "show the fleet: components, devices, deployments, open faults",
      .details = "Exit status 2 when no fleet is up.",
      .options = cmd_status_options,
      .complete = "none",
      .run = cmd_status },
    { .name = "ssh",
      .arguments = "DEVICE [COMMAND...]",
      .min = 1,
      .max = -1,
      .help = "log in to a device of the fleet, or run a command on it",
      .details =
              "As root, with the fleet's key and the pinned host key. The exit status is that of "
              "ssh: the command's, or 255. Options of rig stand before DEVICE.\n\n"
              "    rig ssh edge-1 -- journalctl -b -p warning\n",
      .options = cmd_ssh_options,
      .passes_on = true,
      .complete = "command:names",
      .run = cmd_ssh },
    { .name = "logs",
      .arguments = "[COMPONENT|DEVICE]",
      .max = 1,
      .help = "print logs of the fleet",
      .details =
              "Of a component its log, of a device the journal of its agent; without a name, all "
              "components, each line with its component before it.",
      .options = cmd_logs_options,
      .complete = "command:names",
      .run = cmd_logs },
    { .name = "kubectl",
      .arguments = "[ARGUMENT...]",
      .max = -1,
      .help = "run kubectl with the fleet's Kubernetes API",
      .details = "All arguments are kubectl's own, options included; only --name before them is "
                 "rig's. The exit status is kubectl's.\n\n"
                 "    rig kubectl get fleetdep -A -o yaml\n",
      .options = cmd_kubectl_options,
      .passes_on = true,
      .complete = "none",
      .run = cmd_kubectl },
    { .name = "do",
      .arguments = "SENTENCE",
      .min = 1,
      .max = -1,
      .help = "do one sentence in the fleet: an action or a fault",
      .details =
              "Any sentence of 'do' or 'fault' (rig verbs), as one word or as several. FILE is "
              "relative to the current folder. A fault stays open until its opposite, rig heal or "
              "rig down; rig status lists those that are open. Exit status 2: it is no sentence, "
              "1: it could not be done.\n\n"
              "    rig do 'apply scenarios/manifests/hello-v1.yml'\n"
              "    rig do cut power of edge-1\n",
      .options = cmd_do_options,
      .complete = "command:names",
      .run = cmd_do },
    { .name = "expect",
      .arguments = "SENTENCE",
      .min = 1,
      .max = -1,
      .help = "wait in the fleet until one sentence is so",
      .details =
              "Any sentence of 'expect' (rig verbs), as one word or as several. Exit status 1 when "
              "it did not become so, with what was last seen. What is compared is remembered when "
              "the command begins, and 'the fault' is the last one that the fleet was done.\n\n"
              "    rig expect 'deployment hello is running on edge-1' --within 2m\n",
      .options = cmd_expect_options,
      .complete = "command:names",
      .run = cmd_expect },
    { .name = "redeploy",
      .arguments = "agent|operator [DEVICE...]",
      .min = 1,
      .max = -1,
      .help = "build a component, swap it in the fleet, and wait until it works",
      .details =
              "Builds the program in the checkout that rig belongs to, then has its score deployed "
              "again: only what changed is sent and restarted, and it returns after the score's "
              "smoke test. Without DEVICE the agents of all devices.",
      .options = cmd_redeploy_options,
      .complete = "command:names",
      .run = cmd_redeploy },
    { .name = "names",
      .arguments = "COMMAND [WORD...]",
      .min = 1,
      .max = -1,
      .options = cmd_names_options,
      .run = cmd_names },
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
                  "1    a scenario failed, or what was asked of a fleet did\n"
                  "2    wrong usage, a bad file, or no fleet: nothing was started\n"
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
