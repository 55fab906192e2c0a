/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * SSH to a machine, over libssh (which has taken the names ssh_*). The host key is pinned: the first one seen after the machine was
 * made is remembered, another one later is an error that says so. Deadlines on everything. User
 * networking accepts connections before the guest listens, so connecting first waits for the
 * server's banner with a 2 s limit. A broken session is made anew by the next call.
 */

#include "fleet/deploy/capability.h"

/* An ed25519 key pair for this run: writes `path` (private) and returns the public line, which the
 * caller frees. */
int remote_keygen(const char *path, char **ret_public, struct err **err);

/* A host key for a machine: the private half as its sshd reads it, the public line and the fingerprint.
 * The caller frees them. */
int remote_hostkey_make(char **ret_private, char **ret_public, char **ret_fingerprint,
                        struct err **err);

struct remote;

/* `pin_file` keeps the host key ("" until the first connection). Does not connect yet. */
int remote_new(const char *host, uint16_t port, const char *key_path, const char *pin_file,
               struct remote **ret, struct err **err);
/* From the next connection on: another key to log in with, and another host key that is pinned (NULL:
 * the first one seen). */
int remote_become(struct remote *s, const char *key_path, const char *fingerprint,
                  struct err **err);
void remote_free(struct remote *s);
DEFINE_CLEANUP(struct remote *, remote_free)

/* Asked in every wait, at least twice a second: a negative answer ends the wait with its error, e.g.
 * when the machine died or the run was interrupted. NULL: nothing is asked. */
void remote_set_alive(struct remote *s, int (*alive)(void *userdata, struct err **err),
                      void *userdata);

/* Tries until logged in or the deadline. A host key that is not the pinned one, and a refused login,
 * are errors at once. */
int remote_wait(struct remote *s, int64_t timeout_ms, struct err **err);
/* Closes the connection; the next call connects again. After a power cut. */
void remote_drop(struct remote *s);
/* Runs a command line in the login shell with `input` (may be NULL) on stdin. Quote what goes into
 * it. A connection that broke before is made anew, once; one that breaks meanwhile is an error, since
 * the command may have run. */
int remote_exec(struct remote *s, const char *command, const void *input, size_t len,
                int64_t timeout_ms, int *ret_status, char **ret_out, struct err **err);

/* The pinned host key's fingerprint, "SHA256:...", NULL before the first connection. Owned. */
const char *remote_fingerprint(const struct remote *s);

/* The capability. Owned by the session. run(): the output is stdout; that of a run with another
 * status than 0 has stderr behind it. What exceeds 1 MiB is replaced by a line that says so. put_files()
 * takes two round trips, however many files there are. */
const struct device_host *remote_device_host(struct remote *s);
