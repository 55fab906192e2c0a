/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The side of a keeper that is asked (rig/cmd/fleet_wire.h), on a thread of its own, so that it answers
 * while the lab's thread is busy. Requests that need the lab are queued and handed to that thread one
 * at a time, in the order in which they came; "status" is answered at once from what the lab's
 * thread said last, "wait" when the fleet is up, "down" when it is down.
 *
 * All functions but keeper_server_end() are for the lab's thread; those that tell something may be
 * called from any.
 */

#include <signal.h>

#include "rig/cmd/fleet_wire.h"

struct keeper_server;

/* `listen_fd` becomes the server's. */
int keeper_server_new(int listen_fd, struct keeper_server **ret, struct err **err);
/* Hangs up on everybody. */
void keeper_server_free(struct keeper_server *s);
DEFINE_CLEANUP(struct keeper_server *, keeper_server_free)

/* For the waits of the lab: set while the running request is taken back, and from the moment on when
 * the fleet is to go down. */
const volatile sig_atomic_t *keeper_server_stop(struct keeper_server *s);
bool keeper_server_ending(const struct keeper_server *s);
/* The fleet is to go down. Async-signal-safe. */
void keeper_server_end(struct keeper_server *s);

/* What "status" answers from now on; another reference is taken. */
void keeper_server_status(struct keeper_server *s, json_t *data);
/* Progress: to whom the running request is from; without one to those who wait for the fleet. */
void keeper_server_tell(struct keeper_server *s, enum answer_kind kind, const char *text);
/* The fleet is up: those who wait are answered, and requests are taken. */
void keeper_server_up(struct keeper_server *s);

/* Waits up to `timeout_ms` for a request: true, and it runs until keeper_server_answer(). *ret is
 * borrowed. */
bool keeper_server_next(struct keeper_server *s, int64_t timeout_ms, const struct request **ret);
void keeper_server_answer(struct keeper_server *s, int exit, const char *text, json_t *data);

/* The fleet is down: who asked for that hears 0, everybody else `exit` and `text`. */
void keeper_server_down(struct keeper_server *s, int exit, const char *text);
