/* SPDX-License-Identifier: AGPL-3.0-only */

/* Machines in the ledger: noted before they are defined, crossed out when they are forgotten. */

#include "rig/lab/identity.h"
#include "rig/lab/machines_internal.h"
#include "rig/ledger/ledger.h"

int machine_note(struct machine *v, struct err **err)
{
    struct ledger_entry entry = {
        .kind = LEDGER_MACHINE,
        .subject = v->domain_name,
        .place = v->all->virt.uri,
        .uuid = v->uuid,
    };

    if (!*v->uuid)
        identity_uuid(v->uuid);
    return v->note ? 0 : ledger_note(supervisor_ledger(v->all->supervisor), &entry, &v->note, err);
}

/* An entry that stays open for want of room on the disk does no harm. */
void machine_cross_out(struct machine *v)
{
    ledger_done(supervisor_ledger(v->all->supervisor), v->note, NULL);
    v->note = 0;
}
