/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/wire/names.h"
#include <jansson.h>
#include <string.h>
