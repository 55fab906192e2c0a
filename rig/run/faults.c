/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a fault is open from before it is done until it was taken back: by its undo,
 * or by an action that says that it heals it. All that time it stands in the ledger. Undo is
 * idempotent, so what is crossed out too late costs nothing; hence a ledger that cannot be written
 * stops a fault, but not its undo.
 */

#include <string.h>

#include "base/strv.h"
#include "rig/run/engine.h"
#include "rig/scenario/param.h"

int fault_open(struct session *s, const struct sentence *sentence, struct err **err)
{
    struct fault f = { .sentence = sentence,
                       .scenario = s->run.scenario,
                       .wall_ms = clock_wall_ms() };
    int r;

    if (!sentence->verb->impl->undo)
        return 0;
    r = ledger_fault(s->config->ledger, sentence->text, &f.id, err);
    if (r < 0)
        return err_wrap(err, "not done");
    s->faults = grow(s->faults, s->n_faults, &s->cap_faults, sizeof(*s->faults));
    s->faults[s->n_faults++] = f;
    return 0;
}

static void forget(struct session *s, size_t i)
{
    ledger_done(s->config->ledger, s->faults[i].id, NULL);
    s->n_faults--;
    memmove(&s->faults[i], &s->faults[i + 1], (s->n_faults - i) * sizeof(*s->faults));
}

/* What a fault is about, not how much of it there is: "slow link of DEVICE by DURATION". */
static bool tells_which(const struct binding *b)
{
    CLEANUP_FREE char *type = xstrndup(b->name, strcspn(b->name, "_"));
    const struct param_type *t = param_type_find(type);

    return !str_eq(type, "TEXT") && !(t && (t->number || t->duration));
}

static bool names_all(const struct sentence *s, const struct binding *wanted)
{
    for (size_t i = 0; i < s->n_params; i++) {
        if (!str_eq(s->params[i].name, wanted->name))
            continue;
        for (char *const *v = wanted->values; *v; v++)
            if (!strv_has(s->params[i].values, *v))
                return false;
        return true;
    }
    return false;
}

static bool heals(const struct sentence *action, const struct sentence *fault)
{
    const struct verb_impl *const *impl = action->verb->impl->heals;

    while (impl && *impl && *impl != fault->verb->impl)
        impl++;
    if (!impl || !*impl)
        return false;
    for (size_t i = 0; i < fault->n_params; i++)
        if (tells_which(&fault->params[i]) && !names_all(action, &fault->params[i]))
            return false;
    return true;
}

void faults_healed_by(struct session *s, const struct sentence *sentence)
{
    CLEANUP_FREE char *by = xasprintf("by: %s", sentence->text);

    for (size_t i = s->n_faults; i-- > 0;) {
        if (!heals(sentence, s->faults[i].sentence))
            continue;
        tell_acted(s, s->faults[i].sentence, "undo", by);
        forget(s, i);
    }
}

int fault_undo(struct session *s, size_t i, struct err **err)
{
    const struct sentence *sentence = s->faults[i].sentence;
    int r;

    s->run.scenario = s->faults[i].scenario;
    r = sentence->verb->impl->undo(&s->run, sentence, err);
    if (r < 0) {
        tell_acted(s, sentence, "failed", "it could not be taken back");
        return err_wrap(err, "%s", sentence->text);
    }
    tell_acted(s, sentence, "undo", "");
    forget(s, i);
    return 0;
}
