/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * What makes a restored machine one of its own. All machines that were restored from a snapshot wake up
 * as the same machine, seconds or days late, down to the state of their random numbers. One round
 * trip over the snapshot's own SSH key proves by the nonce that memory and disk are those that were
 * saved, sets the clock, gives new randomness, a host name, a machine-id (the journal goes on under
 * it), a boot id, an SSH host key and whom to let in, and puts all of it on the disk.
 */

#include "rig/lab/remote.h"

struct identity {
    const char *name;    /* host name */
    const char *ssh_key; /* public line of who may log in as root */
    const char *login;   /* path of the private half */
    const char *nonce;   /* what the snapshot must know */
};

/* Before a machine is saved: it is up, knows the nonce, and has nothing left to write. */
int identity_prepare(struct remote *remote, const char *nonce, int64_t timeout_ms,
                     struct err **err);
/* After it was restored. `remote` then expects the new host key, which never was taken on trust: it was
 * made here. -EKEYREJECTED: this is not what was saved. */
int identity_give(struct remote *remote, const struct identity *identity, int64_t timeout_ms,
                  struct err **err);

/* A random one: RFC 9562, version 4. */
void identity_uuid(char ret[static 37]);
