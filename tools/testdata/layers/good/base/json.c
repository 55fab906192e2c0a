/* SPDX-License-Identifier: AGPL-3.0-only */
#include <jansson.h>
#include "base/err.h"
#include <unistd.h>
