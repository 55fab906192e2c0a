/* SPDX-License-Identifier: AGPL-3.0-only */
#include <dirent.h>
#include "base/check.h"
#include "fleet/wire/bad.h"
