/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/duration.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MS (365LL * 24 * 3600 * 1000)

/* From large to small, the order in which they are written. */
static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    { "d", 24LL * 3600 * 1000 },
    { "h", 3600 * 1000 },
    { "m", 60 * 1000 },
    { "s", 1000 },
    { "ms", 1 },
};
#define N_UNITS (sizeof(units) / sizeof(units[0]))

static int refuse(struct err **err, const char *s, const char *why)
{
    return err_new(err, EINVAL, "\"%.40s\" is not a duration like 200ms, 20s, 5m or 1h30m: %s", s,
                   why);
}

/* The unit that stands at `s`, as its index; N_UNITS when there is none. */
static size_t unit_at(const char *s, size_t *ret_len)
{
    size_t n = strcspn(s, "0123456789.");

    *ret_len = n;
    for (size_t i = 0; i < N_UNITS; i++)
        if (strlen(units[i].name) == n && strncmp(s, units[i].name, n) == 0)
            return i;
    return N_UNITS;
}

int duration_parse(const char *s, int64_t *ret_ms, struct err **err)
{
    const char *at = s;
    int64_t total = 0;
    size_t next_unit = 0; /* the largest that may still come */

    if (!*s)
        return refuse(err, s, "it is empty");
    while (*at) {
        int64_t whole = 0, thousandths = 0;
        size_t unit, n = strspn(at, "0123456789");

        if (n == 0)
            return refuse(err, s, "a number is missing");
        if (n > 12)
            return refuse(err, s, "more than 365 days");
        for (; n > 0; n--, at++)
            whole = whole * 10 + (*at - '0');
        if (*at == '.') {
            int scale = 100;

            n = strspn(++at, "0123456789");
            if (n == 0 || n > 3)
                return refuse(err, s, "one to three digits stand behind a point");
            for (; n > 0; n--, at++, scale /= 10)
                thousandths += (*at - '0') * scale;
        }
        unit = unit_at(at, &n);
        if (n == 0)
            return refuse(err, s, "the unit is missing");
        if (unit == N_UNITS)
            return refuse(err, s, "the units are d, h, m, s and ms");
        if (unit < next_unit)
            return refuse(err, s, "units go from large to small, each once");
        if (whole > MAX_MS / units[unit].ms)
            return refuse(err, s, "more than 365 days");
        next_unit = unit + 1;
        total += whole * units[unit].ms + thousandths * units[unit].ms / 1000;
        at += n;
        if (total > MAX_MS)
            return refuse(err, s, "more than 365 days");
    }
    *ret_ms = total;
    return 0;
}

char *duration_format(int64_t ms, char text[static DURATION_TEXT_MAX])
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t t = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    unsigned long long minutes = t / 60000;

    if (t < 1000)
        snprintf(text, DURATION_TEXT_MAX, "%s%ums", sign, (unsigned)t);
    else if (t < 60000)
        snprintf(text, DURATION_TEXT_MAX, "%s%u.%us", sign, (unsigned)(t / 1000),
                 (unsigned)(t / 100 % 10));
    else if (minutes < 60)
        snprintf(text, DURATION_TEXT_MAX, "%s%llum%02us", sign, minutes, (unsigned)(t / 1000 % 60));
    else
        snprintf(text, DURATION_TEXT_MAX, "%s%lluh%02um", sign, minutes / 60,
                 (unsigned)(minutes % 60));
    return text;
}
