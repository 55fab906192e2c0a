/* SPDX-License-Identifier: AGPL-3.0-only */

/* Machines in the ledger: noted before they are defined, crossed out when they are forgotten. */

#include <sodium.h>
#include <stdio.h>

#include "rig/lab/machines_internal.h"
#include "rig/ledger/ledger.h"

/* Version 4 of RFC 9562. */
static void random_uuid(char text[static VIR_UUID_STRING_BUFLEN])
{
    unsigned char u[VIR_UUID_BUFLEN];

    randombytes_buf(u, sizeof(u));
    u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
    u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
    snprintf(text, VIR_UUID_STRING_BUFLEN,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
}

int machine_note(struct machine *v, struct err **err)
{
    struct ledger_entry entry = {
        .kind = LEDGER_MACHINE,
        .subject = v->domain_name,
        .place = v->all->virt.uri,
        .uuid = v->uuid,
    };

    if (!*v->uuid)
        random_uuid(v->uuid);
    return v->note ? 0 : ledger_note(supervisor_ledger(v->all->supervisor), &entry, &v->note, err);
}

/* An entry that stays open for want of room on the disk does no harm. */
void machine_cross_out(struct machine *v)
{
    ledger_done(supervisor_ledger(v->all->supervisor), v->note, NULL);
    v->note = 0;
}
