/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/clock_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

char *clock_rfc3339(int64_t wall_ms, char text[static CLOCK_RFC3339_MAX])
{
    time_t seconds = (time_t)(wall_ms / 1000 - (wall_ms % 1000 < 0));
    struct tm tm;

    /* A year that a time stamp cannot show comes from a broken clock: 1970 says so as well. */
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        gmtime_r(&(time_t){ 0 }, &tm);
    snprintf(text, CLOCK_RFC3339_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100);
    return text;
}

/* Exactly `n` digits at *s, moved past; -1 when they are not there. */
static int digits(const char **s, int n)
{
    int value = 0;

    for (; n > 0; n--, (*s)++) {
        if (**s < '0' || **s > '9')
            return -1;
        value = value * 10 + (**s - '0');
    }
    return value;
}

/* The same, between `min` and `max`, and then `end`, which 0 leaves out. */
static bool field(const char **s, int n, int min, int max, char end, int *ret)
{
    *ret = digits(s, n);
    if (*ret < min || *ret > max)
        return false;
    return !end || *(*s)++ == end;
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 in the Gregorian calendar, for year 0 and later. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static bool parse(const char *s, int64_t *ret_ms)
{
    int year, month, day, hour, minute, second, offset_hour = 0, offset_minute = 0;
    int ms = 0, scale = 100, sign = 0;

    if (!field(&s, 4, 0, 9999, '-', &year) || !field(&s, 2, 1, 12, '-', &month) ||
        !field(&s, 2, 1, month_days(year, month), 0, &day) || (*s != 'T' && *s != 't'))
        return false;
    s++;
    /* 60 is a leap second; like everybody we count it as the next one. */
    if (!field(&s, 2, 0, 23, ':', &hour) || !field(&s, 2, 0, 59, ':', &minute) ||
        !field(&s, 2, 0, 60, 0, &second))
        return false;
    if (*s == '.') {
        s++;
        if (*s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++, scale /= 10)
            ms += (*s - '0') * scale;
    }
    if (*s == '+' || *s == '-') {
        sign = *s++ == '+' ? 1 : -1;
        if (!field(&s, 2, 0, 23, ':', &offset_hour) || !field(&s, 2, 0, 59, 0, &offset_minute))
            return false;
    } else if (*s == 'Z' || *s == 'z') {
        s++;
    } else {
        return false;
    }
    if (*s)
        return false;
    *ret_ms = ((days_from_civil(year, month, day) * 24 + hour - sign * offset_hour) * 3600 +
               (minute - sign * offset_minute) * 60 + second) *
                      1000 +
              ms;
    return true;
}

int clock_parse_rfc3339(const char *s, int64_t *ret_wall_ms, struct err **err)
{
    if (!parse(s, ret_wall_ms))
        return err_new(err, EBADMSG, "\"%.64s\" is not a time like 2026-04-21T18:15:42Z", s);
    return 0;
}
