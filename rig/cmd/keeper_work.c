/* SPDX-License-Identifier: AGPL-3.0-only */

/* What a keeper does for those who ask. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/cmd/keeper_internal.h"
#include "rig/cmd/rig.h"
#include "rig/lab/lab_redeploy.h"
#include "rig/verbs/verb.h"

#define MISTAKES_MAX (64 * 1024)
#define EXPLAIN_MAX (256 * 1024)

__attribute__((format(printf, 2, 3))) static void line(struct keeper *k, const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT(EXPLAIN_MAX);
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    keeper_server_tell(k->server, ANSWER_LINE, buf_str(&text));
}

static void answer_error(struct keeper *k, int code, const struct err *err)
{
    CLEANUP_FREE char *text = err_text_full(err);

    if (err_code(err) == ECANCELED)
        keeper_server_answer(k->server, RIG_INT, "interrupted", NULL);
    else
        keeper_server_answer(k->server, code, text, NULL);
}

/* --- do, expect ------------------------------------------------------------------------------ */

static void on_acting(const struct sentence *s, void *userdata)
{
    const struct keeper *k = userdata;

    keeper_server_tell(k->server, ANSWER_STATUS, s->text);
}

static void on_acted(const struct sentence *s, const char *what, const char *note, void *userdata)
{
    (void)what;
    line(userdata, "done: %s%s%s", s->text, *note ? ": " : "", note);
}

static void on_waiting(const struct check_result *check, int64_t waited_ms, int64_t limit_ms,
                       void *userdata)
{
    char waited[DURATION_TEXT_MAX], limit[DURATION_TEXT_MAX];
    CLEANUP_FREE char *text = xasprintf("%s of %s  %s", duration_format(waited_ms, waited),
                                        duration_format(limit_ms, limit), check->last);
    struct keeper *k = userdata;

    keeper_server_tell(k->server, ANSWER_STATUS, text);
}

static char **device_names(const struct keeper *k)
{
    char **names = NULL;

    for (size_t i = 0; i < k->state.n_devices; i++)
        strv_add(&names, k->state.devices[i].name);
    return names;
}

static void answer_step(struct keeper *k, const struct step_result *step, enum result result)
{
    CLEANUP_BUF struct buf why = BUF_INIT(EXPLAIN_MAX);
    char took[DURATION_TEXT_MAX];

    if (result == RESULT_PASSED) {
        line(k, "ok    %s (%s)", step->name, duration_format(step->took_ms, took));
        keeper_server_answer(k->server, RIG_PASSED, "", NULL);
        return;
    }
    if (result == RESULT_INTERRUPTED) {
        keeper_server_answer(k->server, RIG_INT, "interrupted", NULL);
        return;
    }
    step_result_explain(step, &why);
    line(k, "FAIL  %s (%s)\n%s", step->name, duration_format(step->took_ms, took), buf_str(&why));
    keeper_server_answer(k->server, RIG_FAILED, "", NULL);
}

static void do_sentence(struct keeper *k, const struct request *r)
{
    CLEANUP_BUF struct buf mistakes = BUF_INIT(MISTAKES_MAX);
    CLEANUP_STRV char **names = device_names(k);
    CLEANUP_ERR struct err *err = NULL;
    struct scenario_request request = {
        .text = r->sentence,
        .kinds = r->ask == ASK_DO ? VERB_DO | VERB_FAULT : VERB_EXPECT,
        .within_ms = r->within_ms,
        .holds_ms = r->holds_ms,
        .folder = r->folder,
        .devices = names,
    };
    struct step_result step = { 0 };
    struct scenario *scenario = NULL;
    enum result result;

    if (scenario_sentence(&request, verb_table, verb_table_len, &scenario, &mistakes, &err) < 0) {
        CLEANUP_FREE char *text = mistakes.len ? buf_steal(&mistakes) : err_text_full(err);

        text[strlen(text) - str_ends(text, "\n")] = '\0';
        keeper_server_answer(k->server, RIG_USAGE, text, NULL);
        return;
    }
    result = session_run(k->session, scenario, &step);
    answer_step(k, &step, result);
    step_result_done(&step);
}

/* --- heal ------------------------------------------------------------------------------------ */

static void heal_faults(struct keeper *k)
{
    CLEANUP_FREE struct open_fault *open = NULL;
    CLEANUP_ERR struct err *err = NULL;
    size_t n = session_faults(k->session, &open);

    if (session_heal(k->session, &err) < 0) {
        answer_error(k, RIG_FAILED, err);
        return;
    }
    line(k, "%zu fault%s taken back", n, n == 1 ? "" : "s");
    keeper_server_answer(k->server, RIG_PASSED, "", NULL);
}

/* --- redeploy -------------------------------------------------------------------------------- */

static int redeploy_one(struct keeper *k, const char *device, struct err **err)
{
    int64_t began = clock_mono_ms();
    char took[DURATION_TEXT_MAX];
    int r = device ? lab_redeploy_agent(k->lab, device, err) : lab_redeploy_operator(k->lab, err);

    if (r >= 0)
        line(k, "ok    %s%s works (%s)", device ? "the agent of " : "the operator",
             device ? device : "", duration_format(clock_mono_ms() - began, took));
    return r;
}

static void redeploy(struct keeper *k, const struct request *r)
{
    CLEANUP_STRV char **all = r->devices ? strv_copy(r->devices) : device_names(k);
    CLEANUP_ERR struct err *err = NULL;
    int n = 0;

    lab_programs(k->lab, r->programs);
    if (r->operator)
        n = redeploy_one(k, NULL, &err);
    for (char **device = all; !r->operator&& * device && n >= 0; device++)
        n = redeploy_one(k, *device, &err);
    if (n < 0)
        answer_error(k, RIG_FAILED, err);
    else
        keeper_server_answer(k->server, RIG_PASSED, "", NULL);
}

/* --- All of it ------------------------------------------------------------------------------- */

void keeper_work_begin(struct keeper *k)
{
    k->watcher = (struct watcher){
        .acting = on_acting, .acted = on_acted, .waiting = on_waiting, .userdata = k
    };
    k->session_config = (struct run_config){
        .lab = k->lab,
        .factor = lab_factor(k->lab),
        .watcher = &k->watcher,
        .stop = keeper_server_stop(k->server),
        .ledger = k->ledger,
    };
    k->session = session_new(&k->session_config);
}

void keeper_work(struct keeper *k, const struct request *request)
{
    /* What died is told by "status"; here it would keep people from repairing it. */
    k->session_config.health = request->ask == ASK_EXPECT ? lab_check : NULL;
    switch (request->ask) {
    case ASK_DO:
    case ASK_EXPECT:
        do_sentence(k, request);
        return;
    case ASK_HEAL:
        heal_faults(k);
        return;
    case ASK_REDEPLOY:
        redeploy(k, request);
        return;
    case ASK_STATUS:
    case ASK_WAIT:
    case ASK_DOWN:
        return; /* the server's own */
    }
}
