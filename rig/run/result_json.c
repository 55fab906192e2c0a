/* SPDX-License-Identifier: AGPL-3.0-only */

/* Results to and from JSON. A check's verdict and whether it was blind are one word. */

#include <errno.h>

#include "base/mem.h"
#include "base/strv.h"
#include "rig/run/member.h"
#include "rig/run/result.h"

#define STEPS_MAX 100000
#define CHECKS_MAX 1000

/* --- To JSON --------------------------------------------------------------------------------- */

static json_t *seen_json(const struct check_seen *seen)
{
    json_t *o = json_object();

    member_set_text(o, "was", check_text(seen->verdict, seen->blind));
    member_set_text(o, "text", seen->text);
    member_set_int(o, "at", seen->at_ms);
    member_set_int(o, "for", seen->for_ms);
    return o;
}

static json_t *check_json(const struct check_result *c)
{
    json_t *o = json_object(), *seen;

    member_set_text(o, "sentence", c->sentence);
    if (!c->asked)
        return o;
    member_set_text(o, "was", check_text(c->verdict, c->blind));
    member_set_text(o, "last", c->last);
    member_set_int(o, "ago", c->asked_ms_ago);
    member_set_int(o, "same", c->same_ms);
    seen = json_array();
    for (size_t i = 0; i < c->n_seen; i++)
        json_array_append_new(seen, seen_json(&c->seen[i]));
    json_object_set_new(o, "seen", seen);
    return o;
}

json_t *step_result_json(const struct step_result *s)
{
    json_t *o = json_object(), *checks;

    member_set_text(o, "name", s->name);
    member_set_int(o, "number", (int64_t)s->number);
    member_set_text(o, "result", result_text(s->result));
    member_set_int(o, "took", s->took_ms);
    member_set_int(o, "within", s->within_ms);
    member_set_int(o, "holds", s->holds_ms);
    member_set_real(o, "factor", s->factor);
    member_set_int(o, "late", s->late_ms);
    member_set_text(o, "failure", s->failure);
    member_set_int(o, "closest_held", (int64_t)s->closest_held);
    member_set_int(o, "closest", s->closest_ms);
    member_set_strv(o, "closest_missed", s->closest_missed);
    if (s->n_checks == 0)
        return o;
    checks = json_array();
    for (size_t i = 0; i < s->n_checks; i++)
        json_array_append_new(checks, check_json(&s->checks[i]));
    json_object_set_new(o, "checks", checks);
    return o;
}

json_t *run_result_json(const struct run_result *r)
{
    json_t *o = json_object(), *steps = json_array();

    member_set_text(o, "result", result_text(r->result));
    member_set_int(o, "took", r->took_ms);
    for (size_t i = 0; i < r->n_steps; i++)
        json_array_append_new(steps, step_result_json(&r->steps[i]));
    json_object_set_new(o, "steps", steps);
    return o;
}

/* --- From JSON ------------------------------------------------------------------------------- */

static enum result parse_result(const json_t *o, bool *bad)
{
    static const char *const words[] = { "passed", "failed", "skipped", "interrupted" };

    return (enum result)member_word(o, "result", words, ARRAY_LEN(words), bad);
}

static enum verdict parse_was(const json_t *o, bool *ret_blind, bool *bad)
{
    static const char *const words[] = { "no", "yes", "never", "blind" };
    static const enum verdict verdicts[] = { VERDICT_NO, VERDICT_YES, VERDICT_NEVER, VERDICT_NO };
    size_t i = member_word(o, "was", words, ARRAY_LEN(words), bad);

    *ret_blind = i == 3;
    return verdicts[i];
}

static char *needed_text(const json_t *o, const char *name, bool *bad)
{
    char *text = member_text(o, name, bad);

    *bad |= !text;
    return text ? text : xstrdup("");
}

static void parse_seen(const json_t *o, struct check_seen *ret, bool *bad)
{
    ret->verdict = parse_was(o, &ret->blind, bad);
    ret->text = needed_text(o, "text", bad);
    ret->at_ms = member_int(o, "at", bad);
    ret->for_ms = member_int(o, "for", bad);
}

static void parse_check(const json_t *o, struct check_result *ret, bool *bad)
{
    CLEANUP_FREE char *last = NULL;
    const json_t *seen = json_object_get(o, "seen");

    ret->sentence = needed_text(o, "sentence", bad);
    ret->asked = json_object_get(o, "was") != NULL;
    if (!ret->asked)
        return;
    ret->verdict = parse_was(o, &ret->blind, bad);
    last = needed_text(o, "last", bad);
    snprintf(ret->last, sizeof(ret->last), "%s", last);
    ret->asked_ms_ago = member_int(o, "ago", bad);
    ret->same_ms = member_int(o, "same", bad);
    ret->n_seen = member_count(o, "seen", CHECK_SEEN_MAX, bad);
    for (size_t i = 0; i < ret->n_seen; i++)
        parse_seen(json_array_get(seen, i), &ret->seen[i], bad);
}

static void parse_step(const json_t *o, struct step_result *ret, bool *bad)
{
    const json_t *checks = json_object_get(o, "checks");

    ret->name = needed_text(o, "name", bad);
    ret->number = (size_t)member_int(o, "number", bad);
    ret->result = parse_result(o, bad);
    ret->took_ms = member_int(o, "took", bad);
    ret->within_ms = member_int(o, "within", bad);
    ret->holds_ms = member_int(o, "holds", bad);
    ret->factor = member_real(o, "factor", bad);
    ret->late_ms = member_int(o, "late", bad);
    ret->failure = member_text(o, "failure", bad);
    ret->closest_held = (size_t)member_int(o, "closest_held", bad);
    ret->closest_ms = member_int(o, "closest", bad);
    ret->closest_missed = member_strv(o, "closest_missed", bad);
    ret->n_checks = member_count(o, "checks", CHECKS_MAX, bad);
    ret->checks = ret->n_checks ? xcalloc(ret->n_checks, sizeof(*ret->checks)) : NULL;
    for (size_t i = 0; i < ret->n_checks; i++)
        parse_check(json_array_get(checks, i), &ret->checks[i], bad);
}

int step_result_parse(const json_t *value, struct step_result *ret, struct err **err)
{
    struct step_result s = { 0 };
    bool bad = false;

    parse_step(value, &s, &bad);
    if (bad) {
        step_result_done(&s);
        return err_new(err, EPROTO, "no result of a step");
    }
    *ret = s;
    return 0;
}

int run_result_parse(const json_t *value, struct run_result *ret, struct err **err)
{
    const json_t *steps = json_object_get(value, "steps");
    struct run_result r = { 0 };
    bool bad = false;

    r.result = parse_result(value, &bad);
    r.took_ms = member_int(value, "took", &bad);
    r.n_steps = member_count(value, "steps", STEPS_MAX, &bad);
    r.steps = xcalloc(r.n_steps + 1, sizeof(*r.steps));
    for (size_t i = 0; i < r.n_steps; i++)
        parse_step(json_array_get(steps, i), &r.steps[i], &bad);
    if (bad) {
        run_result_done(&r);
        return err_new(err, EPROTO, "no result of a run");
    }
    *ret = r;
    return 0;
}
