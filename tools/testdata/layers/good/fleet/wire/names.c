/* SPDX-License-Identifier: AGPL-3.0-only */
#include "base/json.h"
#include "fleet/wire/names.h"
#include <string.h>
