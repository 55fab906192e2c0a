/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: what is told becomes a JSON object, has its secrets hidden, is appended to the
 * file, and is taken into a struct history just as a reader would. So what history_end() gives is what
 * reading the file gives, and it is there when the disk is full, too.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/jsonl.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/strv.h"
#include "rig/run/history_internal.h"
#include "rig/run/member.h"

#define TEXT_MAX (1024 * 1024)
/* Beyond this only steps, results and the end are written, so that the file can always be read. */
#define EVENTS_MAX (HISTORY_MAX / 2)

struct history_writer {
    char *path; /* NULL: no file */
    int fd;
    int64_t began_ms;
    pthread_mutex_t lock;
    char **secrets;  /* strv */
    size_t step;     /* number of the running one */
    size_t bytes;    /* written */
    bool full;       /* EVENTS_MAX was reached, and said */
    size_t lost;     /* lines */
    int why_lost;    /* errno of the first one */
    struct map seen; /* "was text" of each check of the running step */
    struct history_builder builder;
};

static json_t *hidden(const struct history_writer *w, const json_t *value);

static json_t *hidden_members(const struct history_writer *w, const json_t *object)
{
    json_t *copy = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)object, key, value)
            json_object_set_new(copy, key, hidden(w, value));
    return copy;
}

static json_t *hidden_elements(const struct history_writer *w, const json_t *array)
{
    json_t *copy = json_array(), *value;
    size_t i;

    json_array_foreach((json_t *)array, i, value) json_array_append_new(copy, hidden(w, value));
    return copy;
}

/* A copy without secrets in any of its strings. */
static json_t *hidden(const struct history_writer *w, const json_t *value)
{
    CLEANUP_BUF struct buf text = BUF_INIT(TEXT_MAX);

    if (json_is_object(value))
        return hidden_members(w, value);
    if (json_is_array(value))
        return hidden_elements(w, value);
    if (!json_is_string(value))
        return json_copy((json_t *)value);
    redact(&text, json_string_value(value), json_string_length(value), w->secrets);
    /* Cut at the cap, it may end within a character. */
    return text.overflow ? json_string(REDACTED) : json_string(buf_str(&text));
}

/* Under the lock, as are those below. Takes `line`. */
static void put(struct history_writer *w, json_t *line)
{
    CLEANUP_JSON json_t *clean = hidden(w, line);
    int n = w->fd >= 0 ? jsonl_append(w->fd, clean) : 0;

    json_decref(line);
    if (n < 0) {
        w->why_lost = w->lost++ ? w->why_lost : -n;
    } else {
        w->bytes += (size_t)n;
    }
    history_take(&w->builder, clean, NULL);
}

static json_t *line_new(const struct history_writer *w, const char *ev)
{
    json_t *line = json_object();

    member_set_text(line, "ev", ev);
    member_set_int(line, "t", clock_mono_ms() - w->began_ms);
    return line;
}

static json_t *event_new(const struct history_writer *w, enum history_kind kind, const char *lane,
                         const char *what, const char *text, const char *detail)
{
    json_t *line = line_new(w, history_kind_texts[kind]);

    member_set_text(line, "lane", lane && *lane ? lane : NULL);
    member_set_text(line, "what", what && *what ? what : NULL);
    member_set_text(line, "text", text && *text ? text : NULL);
    member_set_text(line, "detail", detail && *detail ? detail : NULL);
    member_set_int(line, "step", (int64_t)w->step);
    return line;
}

static bool is_full(struct history_writer *w)
{
    if (w->bytes < EVENTS_MAX)
        return false;
    if (!w->full)
        put(w, event_new(w, HISTORY_NOTE, NULL, "warning",
                         "the history is too long: from here on it has the steps only", NULL));
    w->full = true;
    return true;
}

static json_t *head_of(const struct history_run *run)
{
    json_t *line = json_object();

    member_set_text(line, "ev", "run");
    member_set_int(line, "v", HISTORY_VERSION);
    member_set_text(line, "scenario", run->scenario);
    member_set_text(line, "story", run->story);
    member_set_text(line, "path", run->path);
    member_set_text(line, "control_plane", run->control_plane);
    member_set_text(line, "arch", run->arch);
    member_set_text(line, "accel", run->accel);
    member_set_text(line, "host", run->host);
    member_set_text(line, "version", run->version);
    member_set_real(line, "factor", run->factor);
    member_set_int(line, "began", run->began_wall_ms);
    member_set_strv(line, "devices", run->devices);
    member_set_strv(line, "components", run->components);
    member_set_strv(line, "variables", run->variables);
    return line;
}

int history_begin(const char *path, const struct history_run *run, struct history_writer **ret,
                  struct err **err)
{
    CLEANUP_CLOSE int fd = -1;
    struct history_writer *w;

    if (path) {
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            return err_errno(err, errno, "making the history %s", path);
    }
    w = xcalloc(1, sizeof(*w));
    w->path = xstrdup(path);
    w->fd = steal_fd(&fd);
    w->began_ms = clock_mono_ms();
    pthread_mutex_init(&w->lock, NULL);
    put(w, head_of(run));
    *ret = w;
    return 0;
}

void history_add(struct history_writer *w, enum history_kind kind, const char *lane,
                 const char *what, const char *text, const char *detail)
{
    pthread_mutex_lock(&w->lock);
    if (!is_full(w))
        put(w, event_new(w, kind, lane, what, text, detail));
    pthread_mutex_unlock(&w->lock);
}

void history_learnt(struct history_writer *w, const char *accel, double factor)
{
    json_t *line;

    pthread_mutex_lock(&w->lock);
    line = line_new(w, "learnt");
    member_set_text(line, "accel", accel && *accel ? accel : NULL);
    member_set_real(line, "factor", factor);
    put(w, line);
    pthread_mutex_unlock(&w->lock);
}

void history_redact(struct history_writer *w, const char *secret)
{
    pthread_mutex_lock(&w->lock);
    strv_add(&w->secrets, secret);
    pthread_mutex_unlock(&w->lock);
}

void history_result(struct history_writer *w, const struct run_result *result)
{
    json_t *line;

    pthread_mutex_lock(&w->lock);
    line = line_new(w, "result");
    json_object_set_new(line, "result", run_result_json(result));
    put(w, line);
    pthread_mutex_unlock(&w->lock);
}

/* --- Watching -------------------------------------------------------------------------------- */

static void forget_seen(struct history_writer *w)
{
    MAP_EACH(e, &w->seen)
    free(e->value);
    map_done(&w->seen);
    w->seen = (struct map){ 0 };
}

void history_step_begin(struct history_writer *w, const struct step_result *step)
{
    pthread_mutex_lock(&w->lock);
    forget_seen(w);
    w->step = step->number;
    put(w, event_new(w, HISTORY_STEP, NULL, "begin", step->name, NULL));
    pthread_mutex_unlock(&w->lock);
}

void history_step_end(struct history_writer *w, const struct step_result *step)
{
    json_t *line;

    pthread_mutex_lock(&w->lock);
    w->step = step->number;
    line = event_new(w, HISTORY_STEP, NULL, result_text(step->result), step->name, step->failure);
    json_object_set_new(line, "full", step_result_json(step));
    put(w, line);
    w->step = 0;
    pthread_mutex_unlock(&w->lock);
}

static void on_step(const struct step_result *step, size_t number, size_t of, void *userdata)
{
    (void)number;
    (void)of;
    history_step_begin(userdata, step);
}

static void on_acted(const struct sentence *s, const char *what, const char *note, void *userdata)
{
    history_add(userdata, HISTORY_ACTION, NULL, what, s->text, note);
}

/* Only what is new: most looks see what the one before saw. */
static void on_looked(const struct check_result *check, void *userdata)
{
    struct history_writer *w = userdata;
    const char *was = check_text(check->verdict, check->blind);
    CLEANUP_FREE char *now = xasprintf("%s %s", was, check->last);
    bool same;

    pthread_mutex_lock(&w->lock);
    same = str_eq(map_get(&w->seen, check->sentence), now);
    if (!same)
        free(map_put(&w->seen, check->sentence, steal_ptr(now)));
    pthread_mutex_unlock(&w->lock);
    if (!same)
        history_add(w, HISTORY_SAMPLE, NULL, was, check->sentence, check->last);
}

static void on_done(const struct step_result *step, void *userdata)
{
    history_step_end(userdata, step);
}

void history_watch(struct history_writer *w, struct watcher *ret)
{
    ret->step = on_step;
    ret->acted = on_acted;
    ret->looked = on_looked;
    ret->done = on_done;
    ret->userdata = w;
}

/* --- The end --------------------------------------------------------------------------------- */

static void writer_free(struct history_writer *w)
{
    forget_seen(w);
    if (w->fd >= 0)
        close(w->fd);
    pthread_mutex_destroy(&w->lock);
    strv_free(w->secrets);
    history_free(w->builder.history);
    free(w->path);
    free(w);
}

int history_end(struct history_writer *w, enum result result, int64_t total_ms, int64_t down_ms,
                int64_t cpu_ms, struct history **ret, struct err **err)
{
    json_t *line = line_new(w, "end");
    int r = 0;

    member_set_text(line, "result", result_text(result));
    member_set_int(line, "total", total_ms);
    member_set_int(line, "down", down_ms);
    member_set_int(line, "cpu", cpu_ms);
    put(w, line);
    history_settle(w->builder.history);
    if (w->lost > 0)
        r = err_errno(err, w->why_lost, "%zu line%s of %s could not be written", w->lost,
                      w->lost == 1 ? "" : "s", w->path);
    if (ret)
        *ret = steal_ptr(w->builder.history);
    writer_free(w);
    return r;
}
