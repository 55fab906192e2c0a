/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Theory of operation: one thread owns a daemon's state and runs an sd-event loop. Libraries call
 * back on threads of their own; such a callback copies what it was given into a letter, posts it and
 * returns. The loop wakes (eventfd) and delivers letters in the order in which they were posted.
 */

#include <systemd/sd-event.h>

#include "base/err.h"

struct mailbox;

int mailbox_new(sd_event *loop, struct mailbox **ret, struct err **err);
/* Any thread. `deliver` runs on the loop's thread and owns `letter`; `discard` frees a letter that
 * is still waiting when the mailbox is freed. */
void mailbox_post(struct mailbox *m, void (*deliver)(void *letter), void (*discard)(void *letter),
                  void *letter);
/* Loop's thread, once no other thread can post any more. */
void mailbox_free(struct mailbox *m);
DEFINE_CLEANUP(struct mailbox *, mailbox_free)
