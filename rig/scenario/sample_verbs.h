/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* A small table for the tests and fuzzers of this folder, which knows nothing of the real verbs. */

#include "base/mem.h"
#include "rig/scenario/sentence.h"

static const struct verb sample_verbs[] = {
    { VERB_DO, "apply FILE", "", NULL },
    { VERB_DO, "restart the agent of DEVICE...", "", NULL },
    { VERB_FAULT, "cut power of DEVICE...", "", NULL },
    { VERB_FAULT, "kill COMPONENT...", "", NULL },
    { VERB_FAULT, "slow the link of DEVICE by DURATION to DURATION losing PERCENT at RATE", "",
      NULL },
    { VERB_FAULT, "fill PATH of DEVICE with SIZE", "", NULL },
    { VERB_EXPECT, "device DEVICE... is reachable", "", NULL },
    { VERB_EXPECT, "device DEVICE... is unreachable", "", NULL },
    { VERB_EXPECT, "device DEVICE... has the same identity", "", NULL },
    { VERB_EXPECT, "deployment DEPLOYMENT is running on DEVICE...", "", NULL },
    { VERB_EXPECT, "deployment DEPLOYMENT is absent on DEVICE...", "", NULL },
    { VERB_EXPECT, "deployment DEPLOYMENT has failed on DEVICE...", "", NULL },
    { VERB_EXPECT, "deployment DEPLOYMENT has failed on DEVICE with TEXT", "", NULL },
    { VERB_EXPECT, "deployment DEPLOYMENT has COUNT succeeded of COUNT matched", "", NULL },
    { VERB_EXPECT, "http PORT of DEVICE answers STATUS", "", NULL },
    { VERB_EXPECT, "http PORT of DEVICE says TEXT", "", NULL },
    { VERB_EXPECT, "COMPONENT runs", "", NULL },
};
