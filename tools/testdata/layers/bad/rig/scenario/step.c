/* SPDX-License-Identifier: AGPL-3.0-only */
#include "rig/lab/lab.h"
#include "rig/verbs/verb.h"
