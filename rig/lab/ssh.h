/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * SSH to a machine, over libssh. The host key is pinned: the first one seen after the machine was
 * made is remembered, another one later is an error that says so. Deadlines on everything. User
 * networking accepts connections before the guest listens, so connecting first waits for the
 * server's banner with a 2 s limit. A broken session is made anew by the next call.
 */

#include "fleet/deploy/capability.h"

/* An ed25519 key pair for this run: writes `path` (private) and returns the public line, which the
 * caller frees. */
int ssh_keygen(const char *path, char **ret_public, struct err **err);

struct ssh;

/* `pin_file` keeps the host key ("" until the first connection). Does not connect yet. */
int ssh_new(const char *host, uint16_t port, const char *key_path, const char *pin_file,
            struct ssh **ret, struct err **err);
void ssh_free(struct ssh *s);
DEFINE_CLEANUP(struct ssh *, ssh_free)

/* Tries until logged in or the deadline. `alive` (may be NULL) is asked between attempts and ends
 * the wait with its error, e.g. when the machine died. */
int ssh_wait(struct ssh *s, int64_t timeout_ms, int (*alive)(void *userdata, struct err **err),
             void *userdata, struct err **err);
/* Closes the connection; the next call connects again. After a power cut. */
void ssh_drop(struct ssh *s);
/* The pinned host key's fingerprint, "SHA256:...", NULL before the first connection. Owned. */
const char *ssh_fingerprint(const struct ssh *s);

/* The capability. Owned by the session. */
const struct device_host *ssh_device_host(struct ssh *s);
