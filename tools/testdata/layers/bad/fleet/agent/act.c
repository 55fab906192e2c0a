/* SPDX-License-Identifier: AGPL-3.0-only */
#include "fleet/operator/world.h"
#include <curl/curl.h>
#include "base/check.h"
