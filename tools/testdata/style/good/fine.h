/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

struct fine;
