/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/format.h"

#include <stddef.h>

const char *const format_archs[] = { "x86_64", "aarch64", NULL };

const struct format_key format_scenario[] = {
    { "scenario", FORM_NAME, true, "its name: at most 63 letters, digits, '-', '_' and '.'" },
    { "story", FORM_TEXT, true, "what it is about; `rig list` shows the first sentence" },
    { "tags", FORM_TAGS, false, "words that `rig run --tag` and `rig list --tag` choose by" },
    { "needs", FORM_NEEDS, false, "what this host must have; without it the scenario is skipped" },
    { "vars", FORM_VARS, false,
      "texts that stand for ${NAME}; `--set NAME=VALUE` gives another value" },
    { "matrix", FORM_MATRIX, false,
      "lists of values: every combination becomes a scenario of its own" },
    { "topology", FORM_TOPOLOGY, true, "the fleet" },
    { "deploy", FORM_FILES, false, "manifests, applied in a first step" },
    { "always", FORM_EXPECT, false, "must be so whenever it is looked at, in every wait" },
    { "steps", FORM_STEPS, true, "what happens, in order" },
    { "finally", FORM_STEPS, false,
      "steps at the end, whatever happened, before faults are taken back" },
    { 0 },
};

const struct format_key format_topology[] = {
    { "devices", FORM_DEVICES, true, "1 to 64 devices" },
    { 0 },
};

const struct format_key format_device[] = {
    { "name", FORM_DEVICE_NAME, true, "lower-case letters, digits and '-', at most 63" },
    { "labels", FORM_LABELS, false, "what a Deployment's selector is matched with" },
    { "arch", FORM_ARCH, false, "only for a device that must have this machine type" },
    { "count", FORM_COUNT, false, "so many of them, NAME-1 to NAME-count" },
    { 0 },
};

const struct format_key format_step[] = {
    { "name", FORM_TEXT, true, "what the step shows" },
    { "do", FORM_DO, false, "what an operator would do" },
    { "fault", FORM_FAULT, false, "what the world does" },
    { "expect", FORM_EXPECT, false, "what must become so, or stay so" },
    { "within", FORM_DURATION, false, "deadline for all of `expect` together" },
    { "holds", FORM_DURATION, false, "all of `expect`, from now on for so long" },
    { 0 },
};
