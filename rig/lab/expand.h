/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* Placeholders of a service's arguments and files: {config}, {data} and {port:NAME}. Other braces are
 * left alone, since settings files have their own. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct expand_port {
    const char *name;
    uint16_t number;
};

struct expand_values {
    const char *config; /* folder of the files */
    const char *data;   /* durable folder; NULL: {data} is an error */
    const struct expand_port *ports;
    size_t n_ports;
};

/* The caller frees *ret. An unknown port, or {data} without a durable folder, is an error. */
int expand(const char *text, const struct expand_values *values, char **ret, struct err **err);
