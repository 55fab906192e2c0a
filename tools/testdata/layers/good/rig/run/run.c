/* SPDX-License-Identifier: AGPL-3.0-only */
#include "rig/verbs/verb.h"
#include "rig/scenario/scenario.h"
