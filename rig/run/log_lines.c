/* SPDX-License-Identifier: AGPL-3.0-only */

#include "rig/run/log_lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock_text.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"

#define TEXT_MAX 240     /* bytes of a line that are shown */
#define DISTINCT_MAX 300 /* lines of a file that are told apart */
#define HALF_YEAR_MS (INT64_C(183) * 24 * 3600 * 1000)

/* --- Pieces of lines ------------------------------------------------------------------------- */

struct scan {
    const char *at, *end;
};

static bool literal(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* Exactly `n` digits. */
static bool number(struct scan *s, int n, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++) {
        if (s->at == s->end || !isdigit((unsigned char)*s->at))
            return false;
        *ret = *ret * 10 + (*s->at++ - '0');
    }
    return true;
}

/* "10:55:58.296499": milliseconds of the day. */
static bool time_of_day(struct scan *s, int64_t *ret_ms)
{
    int hours, minutes, seconds, ms = 0;

    if (!number(s, 2, &hours) || !literal(s, ':') || !number(s, 2, &minutes) || !literal(s, ':') ||
        !number(s, 2, &seconds))
        return false;
    if (literal(s, '.') && !number(s, 3, &ms))
        return false;
    while (s->at < s->end && isdigit((unsigned char)*s->at))
        s->at++;
    *ret_ms = ((hours * 60 + minutes) * 60 + seconds) * INT64_C(1000) + ms;
    return true;
}

static int64_t day_ms(int year, int month, int day)
{
    struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };

    return (int64_t)timegm(&tm) * 1000;
}

static bool skip_to(struct scan *s, const char *word)
{
    const char *at = memmem(s->at, (size_t)(s->end - s->at), word, strlen(word));

    if (at)
        s->at = at + strlen(word);
    return at != NULL;
}

static bool rest(const struct scan *s, struct log_line *ret)
{
    ret->text = s->at;
    ret->len = (size_t)(s->end - s->at);
    return ret->len > 0;
}

static bool rfc3339(struct scan *s, int64_t *ret_ms)
{
    const char *blank = memchr(s->at, ' ', (size_t)(s->end - s->at));
    char text[48];
    size_t len = (size_t)((blank ? blank : s->end) - s->at);

    if (len >= sizeof(text))
        return false;
    memcpy(text, s->at, len);
    text[len] = '\0';
    s->at += len;
    return clock_parse_rfc3339(text, ret_ms, NULL) >= 0;
}

/* --- Formats --------------------------------------------------------------------------------- */

/* The string of a member of an object on one line, escapes as they are. */
static bool member(const struct scan *line, const char *name, struct scan *ret)
{
    CLEANUP_FREE char *key = xasprintf("\"%s\":\"", name);
    struct scan s = *line;

    if (!skip_to(&s, key))
        return false;
    ret->at = s.at;
    for (; s.at < s.end && *s.at != '"'; s.at++)
        if (*s.at == '\\' && s.at + 1 < s.end)
            s.at++;
    ret->end = s.at;
    return s.at < s.end;
}

static bool is_word(const struct scan *s, const char *word)
{
    return (size_t)(s->end - s->at) == strlen(word) && memcmp(s->at, word, strlen(word)) == 0;
}

/* {"level":"warn","ts":"2026-11-21T10:55:54.476565Z","caller":"...","msg":"..."} */
static bool parse_zap(const char *line, size_t len, const struct log_clock *clock,
                      struct log_line *ret)
{
    struct scan s = { line, line + len }, level, at, text;

    (void)clock;
    if (len == 0 || *line != '{' || !member(&s, "level", &level) || !member(&s, "ts", &at) ||
        !member(&s, "msg", &text) || is_word(&level, "info") || is_word(&level, "debug"))
        return false;
    ret->grave = !is_word(&level, "warn");
    return rfc3339(&at, &ret->wall_ms) && rest(&text, ret);
}

/* W1121 10:55:55.503213   13136 registry.go:342] text; local time without a year. */
static bool parse_klog(const char *line, size_t len, const struct log_clock *clock,
                       struct log_line *ret)
{
    struct scan s = { line, line + len };
    int month, day, year;
    int64_t ms;
    struct tm tm;
    time_t began = (time_t)(clock->wall_ms / 1000);

    if (len == 0 || !strchr("WEF", *line))
        return false;
    ret->grave = *s.at++ != 'W';
    if (!number(&s, 2, &month) || !number(&s, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > 31 || !literal(&s, ' ') || !time_of_day(&s, &ms) || !skip_to(&s, "] "))
        return false;
    gmtime_r(&began, &tm);
    year = tm.tm_year + 1900;
    ret->wall_ms = day_ms(year, month, day) + ms - clock->utc_offset_s * INT64_C(1000);
    if (ret->wall_ms < clock->wall_ms - HALF_YEAR_MS)
        ret->wall_ms += day_ms(year + 1, month, day) - day_ms(year, month, day);
    return rest(&s, ret);
}

/* [13205] 2026/11/21 10:55:58.296499 [WRN] text; local time. */
static bool parse_nats(const char *line, size_t len, const struct log_clock *clock,
                       struct log_line *ret)
{
    struct scan s = { line, line + len };
    int year, month, day;
    int64_t ms;

    if (!literal(&s, '[') || !skip_to(&s, "] ") || !number(&s, 4, &year) || !literal(&s, '/') ||
        !number(&s, 2, &month) || !literal(&s, '/') || !number(&s, 2, &day) || month < 1 ||
        month > 12 || !literal(&s, ' ') || !time_of_day(&s, &ms) || !literal(&s, ' ') ||
        s.end - s.at < 6)
        return false;
    if (memcmp(s.at, "[WRN] ", 6) != 0 && memcmp(s.at, "[ERR] ", 6) != 0 &&
        memcmp(s.at, "[FTL] ", 6) != 0)
        return false;
    ret->grave = s.at[1] != 'W';
    s.at += 6;
    ret->wall_ms = day_ms(year, month, day) + ms - clock->utc_offset_s * INT64_C(1000);
    return rest(&s, ret);
}

/* 2026-11-21T10:56:36.963Z warning device edge-2 is unreachable */
static bool parse_ours(const char *line, size_t len, const struct log_clock *clock,
                       struct log_line *ret)
{
    static const char error[] = " error ", warning[] = " warning ";
    struct scan s = { line, line + len };

    (void)clock;
    if (len == 0 || !isdigit((unsigned char)*line) || !rfc3339(&s, &ret->wall_ms))
        return false;
    ret->grave = (size_t)(s.end - s.at) > strlen(error) && memcmp(s.at, error, strlen(error)) == 0;
    if (ret->grave)
        s.at += strlen(error);
    else if ((size_t)(s.end - s.at) > strlen(warning) &&
             memcmp(s.at, warning, strlen(warning)) == 0)
        s.at += strlen(warning);
    else
        return false;
    return rest(&s, ret);
}

/* 2026-11-21T10:56:58.123456+00:00 edge-1 fleet-agent[322]: text. Which lines are in the file says
 * how grave they are. */
static bool parse_journal(const char *line, size_t len, const struct log_clock *clock,
                          struct log_line *ret)
{
    struct scan s = { line, line + len };

    (void)clock;
    ret->grave = false;
    return len > 0 && isdigit((unsigned char)*line) && rfc3339(&s, &ret->wall_ms) &&
           literal(&s, ' ') && skip_to(&s, " ") && rest(&s, ret);
}

static bool parse_errors(const char *line, size_t len, const struct log_clock *clock,
                         struct log_line *ret)
{
    bool is = parse_journal(line, len, clock, ret);

    ret->grave = true;
    return is;
}

/* --- Files ----------------------------------------------------------------------------------- */

struct log_file {
    const char *folder, *name; /* "machines/": the lane is the folder below it */
    bool (*parse)(const char *line, size_t len, const struct log_clock *clock,
                  struct log_line *ret);
    const char *boring[8]; /* pieces of what every start writes */
};

static const struct log_file files[] = {
    { "logs/",
      "etcd.log",
      parse_zap,
      { "server on single port", "simple token is not cryptographically signed" } },
    { "logs/",
      "apiserver.log",
      parse_klog,
      { "setting componentGlobalsRegistry", "No authorization-kubeconfig provided",
        "because it has no resources" } },
    { "logs/", "nats.log", parse_nats, { "Plaintext passwords detected" } },
    { "logs/", "operator.log", parse_ours, { NULL } },
    { "machines/", "warnings.txt", parse_journal, { "kernel: " } },
    { "machines/", "errors.txt", parse_errors, { NULL } },
};

const struct log_file *log_file_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    for (size_t i = 0; slash && i < ARRAY_LEN(files); i++)
        if (str_starts(path, files[i].folder) && str_eq(slash + 1, files[i].name))
            return &files[i];
    return NULL;
}

/* "nats" of logs/nats.log, "edge-1" of machines/edge-1/errors.txt. The caller frees it. */
static char *lane_of(const struct log_file *file, const char *path)
{
    const char *rest_of = path + strlen(file->folder);

    return xstrndup(rest_of, strcspn(rest_of, "/."));
}

bool log_line_parse(const struct log_file *file, const char *line, size_t len,
                    const struct log_clock *clock, struct log_line *ret)
{
    if (!file->parse(line, len, clock, ret))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(file->boring) && file->boring[i]; i++)
        if (memmem(ret->text, ret->len, file->boring[i], strlen(file->boring[i])))
            return false;
    return true;
}

/* --- Events ---------------------------------------------------------------------------------- */

struct notable {
    char *text, *shape; /* the shape has no numbers */
    int64_t first_ms, last_ms;
    size_t times;
    bool grave;
};

static char *shape_of(const char *text)
{
    char *shape = xstrdup(text), *to = shape;

    for (const char *c = text; *c; c++) {
        if (!isdigit((unsigned char)*c))
            *to++ = *c;
        else if (to == shape || to[-1] != '#')
            *to++ = '#';
    }
    *to = '\0';
    return shape;
}

struct notables {
    struct notable *items;
    size_t n, cap;
};

static void note(struct notables *list, const struct log_line *line, int64_t at_ms)
{
    CLEANUP_FREE char *text = xstrndup(line->text, line->len < TEXT_MAX ? line->len : TEXT_MAX);
    CLEANUP_FREE char *shape = shape_of(text);

    for (size_t i = 0; i < list->n; i++) {
        struct notable *seen = &list->items[i];

        if (!str_eq(seen->shape, shape))
            continue;
        seen->times++;
        seen->last_ms = at_ms;
        return;
    }
    if (list->n == DISTINCT_MAX)
        return;
    list->items = grow(list->items, list->n, &list->cap, sizeof(*list->items));
    list->items[list->n++] = (struct notable){ .text = steal_ptr(text),
                                               .shape = steal_ptr(shape),
                                               .first_ms = at_ms,
                                               .last_ms = at_ms,
                                               .times = 1,
                                               .grave = line->grave };
}

static void take_lines(struct notables *list, const struct log_file *file, const char *data,
                       size_t len, const struct log_clock *clock, int64_t end_ms)
{
    const char *end = data + len;

    while (data < end) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        struct log_line line;
        size_t n = (size_t)((stop ? stop : end) - data);

        if (log_line_parse(file, data, n, clock, &line) && line.wall_ms >= clock->wall_ms &&
            line.wall_ms - clock->wall_ms <= end_ms)
            note(list, &line, line.wall_ms - clock->wall_ms);
        data += n + 1;
    }
}

/* Errors before warnings, when not all can be shown. */
static bool is_shown(const struct notables *list, size_t i)
{
    size_t before = 0;

    for (size_t j = 0; j < list->n; j++)
        if (j != i && (list->items[j].grave != list->items[i].grave ? list->items[j].grave : j < i))
            before++;
    return before < LOG_LINES_MAX;
}

static struct history_event event_of(const struct notable *n, const char *lane)
{
    char last[DURATION_TEXT_MAX];

    return (struct history_event){
        .at_ms = n->first_ms,
        .kind = HISTORY_LANE,
        .lane = xstrdup(lane),
        .what = xstrdup("log"),
        .text = xasprintf("%s: %s", n->grave ? "error" : "warning", n->text),
        .detail = n->times > 1 ? xasprintf("%zu times, until %s", n->times,
                                           duration_format(n->last_ms, last))
                               : xstrdup(""),
    };
}

void log_events(const char *path, const char *data, size_t len, const struct log_clock *clock,
                int64_t end_ms, struct history_event **events, size_t *n, size_t *cap)
{
    const struct log_file *file = log_file_of(path);
    CLEANUP_FREE char *lane = file ? lane_of(file, path) : NULL;
    struct notables list = { 0 };

    if (!file || !*lane)
        return;
    take_lines(&list, file, data, len, clock, end_ms);
    for (size_t i = 0; i < list.n; i++) {
        if (is_shown(&list, i)) {
            *events = grow(*events, *n, cap, sizeof(**events));
            (*events)[(*n)++] = event_of(&list.items[i], lane);
        }
        free(list.items[i].text);
        free(list.items[i].shape);
    }
    free(list.items);
}
