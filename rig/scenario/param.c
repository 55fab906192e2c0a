/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/scenario/param.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

const char *const param_components[] = { "etcd", "apiserver", "nats", "operator", NULL };

/* Components that keep something on a disk. */
static const char *const servers[] = { "etcd", "nats", NULL };

static const struct param_unit no_unit[] = { { "", 1 }, { 0 } };
static const struct param_unit percent[] = { { "", 1 }, { "%", 1 }, { 0 } };
static const struct param_unit rates[] = {
    { "kbit", 1 },
    { "mbit", 1000 },
    { "gbit", 1000 * 1000 },
    { 0 },
};
static const struct param_unit sizes[] = {
    { "KiB", 1 << 10 },
    { "MiB", 1 << 20 },
    { "GiB", 1 << 30 },
    { 0 },
};

static bool good_path(const char *value)
{
    CLEANUP_STRV char **parts = strv_split(value, "/");

    return value[0] == '/' && !strv_has(parts, "..");
}

#define NUMBER "[0-9]{1,9}"

const struct param_type param_types[] = {
    { .name = "DEVICE",
      .what = "the name of a device; where there are several, also a glob: edge-*",
      .regex = "[-a-z0-9*?!\\[\\]]+",
      .example = "edge-1" },
    { .name = "DEPLOYMENT",
      .what = "the name of a Deployment in one of the manifests",
      .regex = "[-_=A-Za-z0-9]+",
      .example = "hello" },
    { .name = "FILE",
      .what = "a manifest, relative to the scenario",
      .regex = "[^\"\\s]\\S*",
      .example = "hello.yml" },
    { .name = "IMAGE",
      .what = "a container image, as the manifest writes it",
      .regex = "[^\"\\s]\\S*",
      .example = "localhost/hello:v1" },
    { .name = "TEXT", .what = "the rest of the sentence", .regex = "\\S.*", .example = "hello v1" },
    { .name = "COMPONENT",
      .what = "one of etcd, apiserver, nats and operator",
      .regex = "(?:etcd|apiserver|nats|operator)",
      .example = "nats",
      .words = param_components },
    { .name = "SERVER",
      .what = "one of etcd and nats",
      .regex = "(?:etcd|nats)",
      .example = "nats",
      .words = servers },
    { .name = "PORT",
      .what = "a number from 1 to 65535",
      .regex = NUMBER,
      .example = "8080",
      .number = true,
      .units = no_unit,
      .min = 1,
      .max = 65535 },
    { .name = "STATUS",
      .what = "a number from 100 to 599",
      .regex = "[1-5][0-9][0-9]",
      .example = "200",
      .number = true,
      .units = no_unit,
      .min = 100,
      .max = 599 },
    { .name = "COUNT",
      .what = "a number from 0 to 1000000",
      .regex = NUMBER,
      .example = "1",
      .number = true,
      .units = no_unit,
      .min = 0,
      .max = 1000000 },
    { .name = "PERCENT",
      .what = "a whole number from 0 to 100, like 5 or 5%",
      .regex = "[0-9]{1,3}%?",
      .example = "5%",
      .number = true,
      .units = percent,
      .min = 0,
      .max = 100 },
    { .name = "DURATION",
      .what = "a time like 200ms, 20s, 5m or 1h30m, longer than 0s and at most 365 days",
      .regex = "(?:[0-9]+(?:[.][0-9]{1,3})?(?:d|h|ms|m|s))+",
      .example = "1h30m",
      .number = true,
      .duration = true,
      .min = 1,
      .max = 365 * 24 * 3600 * INT64_C(1000) },
    { .name = "RATE",
      .what = "a rate from 1kbit to 100gbit a second, like 512kbit or 2mbit",
      .regex = NUMBER "[kmg]bit",
      .example = "512kbit",
      .number = true,
      .units = rates,
      .min = 1,
      .max = 100 * 1000 * 1000 },
    { .name = "SIZE",
      .what = "a size from 1KiB to 1024GiB, like 64MiB",
      .regex = NUMBER "[KMG]iB",
      .example = "64MiB",
      .number = true,
      .units = sizes,
      .min = 1 << 10,
      .max = INT64_C(1) << 40 },
    { .name = "PATH",
      .what = "an absolute path on the device, without '..'",
      .regex = "/\\S*",
      .example = "/var/lib/fleet-agent/state.json",
      .good = good_path },
};

const size_t param_types_len = ARRAY_LEN(param_types);

const struct param_type *param_type_find(const char *param)
{
    size_t len = strcspn(param, " .");

    for (size_t i = 0; i < ARRAY_LEN(param_types); i++)
        if (strlen(param_types[i].name) == len && strncmp(param_types[i].name, param, len) == 0)
            return &param_types[i];
    return NULL;
}

static bool number_read(const struct param_type *type, const char *value, int64_t *ret)
{
    size_t digits = strspn(value, "0123456789");
    int64_t n = digits > 0 && digits < 10 ? strtoll(value, NULL, 10) : -1;

    for (const struct param_unit *u = type->units; u->name; u++)
        if (n >= 0 && str_eq(value + digits, u->name)) {
            *ret = n * u->factor;
            return *ret >= type->min && *ret <= type->max;
        }
    return false;
}

static int refuse(const struct param_type *type, const char *value, struct err **err)
{
    return err_new(err, EINVAL, "'%.80s' is no %s: %s", value, type->name, type->what);
}

int param_check(const struct param_type *type, const char *value, int64_t *ret, struct err **err)
{
    int64_t n = 0;

    if (!*value)
        return err_new(err, EINVAL, "%s is empty", type->name);
    if (type->duration && duration_parse(value, &n, err) < 0)
        return -EINVAL;
    if (type->duration && n < type->min)
        return refuse(type, value, err);
    if (type->units && !number_read(type, value, &n))
        return refuse(type, value, err);
    if (type->words && !strv_has((char *const *)type->words, value))
        return refuse(type, value, err);
    if (type->good && !type->good(value))
        return refuse(type, value, err);
    if (ret)
        *ret = n;
    return 0;
}
