/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The history of a run: RUN/history.jsonl, one JSON object a line, appended while it happens, so that a
 * run that died has one, too. Every report (HTML, JUnit, TAP, summary) is made from it alone, at
 * once or years later.
 *
 * The first line is {"ev":"run","v":1,...}: what was run, where, with what. Every other line is an
 * event with "t", milliseconds since the run began, on this host's clock. Unknown members and events
 * are passed over; a last line that was cut short is as well. Secrets (history_redact(), and what
 * base/redact.h finds) never reach the file, nor bytes that are no text.
 */

#include <stdint.h>

#include "rig/run/run.h"

#define HISTORY_VERSION 1
#define HISTORY_MAX (64 * 1024 * 1024) /* bytes of a file that is read */

/* What a run is; borrowed by history_begin(), owned by a struct history. */
struct history_run {
    char *scenario, *story, *path;
    char *control_plane, *arch, *accel; /* accel: "" until the first machine ran */
    char *host;                         /* "2 cores, 23 GiB, Linux 6.1; QEMU 10.0.2" */
    char *version;                      /* of the rig */
    double factor;                      /* by which deadlines were scaled; 0: not calibrated */
    int64_t began_wall_ms;
    char **devices;    /* strv */
    char **components; /* strv: "etcd", "apiserver", "nats", "operator" */
    char **variables;  /* strv "name=value": vars, and what a matrix chose */
};

enum history_kind {
    HISTORY_PHASE,  /* of bringing the lab up. what: "begin", "end"; text: its name */
    HISTORY_STEP,   /* what: "begin", or its result; text: its name; detail: what failed */
    HISTORY_ACTION, /* what: "do", "fault", "undo", "failed"; text: the sentence; detail: the note */
    HISTORY_SAMPLE, /* of a check, when it changes. what: "yes", "no", "never", "blind"; text: the
                     * sentence; detail: the sample */
    HISTORY_LANE, /* something happened to `lane`. what: see enum lab_event_kind in rig/lab/lab.h and
                     * its lab_event_text(): "start", "ready", "stop", "died", ..., "state", "log" */
    HISTORY_NOTE, /* of the rig itself. what: "warning", "evidence" (text: folder), "down" */
};

struct history_event {
    int64_t at_ms;
    enum history_kind kind;
    char *lane; /* a device, a component; "" for the run itself */
    char *what, *text, *detail;
    size_t step; /* number from 1; 0 outside steps */
};

struct history {
    struct history_run run;
    struct history_event *events;
    size_t n_events;
    struct run_result result; /* as far as it came; a step that never ended is RESULT_INTERRUPTED */
    bool ended;               /* false: the run died, or still goes on */
    int64_t total_ms, down_ms, cpu_ms; /* 0 when it did not end */
    char *evidence;                    /* folder, NULL when there is none */
};

/* --- Writing. Errors are kept and told once by history_end(); a full disk does not end a run, and
 * what does not fit into the file is in the history that history_end() gives. --- */

struct history_writer;

/* `path` must not exist; NULL: no file. */
int history_begin(const char *path, const struct history_run *run, struct history_writer **ret,
                  struct err **err);
/* From any thread. NULL texts are "". */
void history_add(struct history_writer *w, enum history_kind kind, const char *lane,
                 const char *what, const char *text, const char *detail);
/* What became known later: accel, factor. */
void history_learnt(struct history_writer *w, const char *accel, double factor);
/* A text that is written as "***" from now on. */
void history_redact(struct history_writer *w, const char *secret);
/* The results of all steps so far, whole; may be repeated, the last one counts. */
void history_result(struct history_writer *w, const struct run_result *result);
/* Begin and end of a step that is not the scenario's: the lab. */
void history_step_begin(struct history_writer *w, const struct step_result *step);
void history_step_end(struct history_writer *w, const struct step_result *step);
/* A watcher that writes steps, actions and samples; `also` of *ret is left alone. */
void history_watch(struct history_writer *w, struct watcher *ret);
/* The last line; says what could not be written. Frees `w` and gives the history in any case; `ret`
 * may be NULL. */
int history_end(struct history_writer *w, enum result result, int64_t total_ms, int64_t down_ms,
                int64_t cpu_ms, struct history **ret, struct err **err);

/* --- Reading. ------------------------------------------------------------------------------- */

/* A file that has no first line of this format, is of a newer version or is damaged gives -EPROTO. */
int history_read(const char *path, struct history **ret, struct err **err);
int history_parse(const char *name, const char *text, size_t len, struct history **ret,
                  struct err **err);
void history_free(struct history *h);
DEFINE_CLEANUP(struct history *, history_free)
