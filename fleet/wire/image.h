/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* References to container images, in the grammar of github.com/distribution/reference, which podman
 * applies: [REGISTRY[:PORT]/]NAME[/NAME...][:TAG][@ALGORITHM:HEX]. Without transports such as
 * docker://. */

#include "base/err.h"

int image_check(const char *image, struct err **err);
