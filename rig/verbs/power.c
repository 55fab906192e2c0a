/* SPDX-License-Identifier: AGPL-3.0-only */

/* Power of machines. */

#include "rig/verbs/look.h"

static int power_each(struct verb_run *run, const struct sentence *s,
                      int (*set)(struct machines *m, const char *name, struct err **err),
                      struct err **err)
{
    for (char *const *d = sentence_values(s, "DEVICE"); *d; d++) {
        int r = set(lab_machines(run->lab), *d, err);

        if (r < 0)
            return err_wrap(err, "%s", *d);
    }
    return 0;
}

static int cut_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                   struct err **err)
{
    (void)note;
    return power_each(run, s, machine_power_cut, err);
}

static int cut_undo(struct verb_run *run, const struct sentence *s, struct err **err)
{
    return power_each(run, s, machine_power_on, err);
}

static int restore_act(struct verb_run *run, const struct sentence *s, char note[static SAMPLE_MAX],
                       struct err **err)
{
    (void)note;
    return power_each(run, s, machine_power_on, err);
}

const struct verb_impl verb_cut_power = { .act = cut_act, .undo = cut_undo };
const struct verb_impl verb_restore_power = { .act = restore_act };
