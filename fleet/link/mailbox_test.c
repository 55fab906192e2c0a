/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/mailbox.h"

#include <pthread.h>

#include "base/check.h"
#include "base/mem.h"

#define THREADS 4
#define EACH 5000

struct sender {
    struct mailbox *mailbox;
    struct inbox *inbox;
    int who;
};

/* What arrived; touched on the loop's thread only. */
struct inbox {
    int next[THREADS]; /* number that each sender's next letter must carry */
    int got, out_of_order, discarded;
    sd_event *loop;
};

struct note {
    struct inbox *inbox;
    int who, number;
};

static void deliver(void *letter)
{
    CLEANUP_FREE struct note *n = letter;

    if (n->inbox->next[n->who]++ != n->number)
        n->inbox->out_of_order++;
    if (++n->inbox->got == THREADS * EACH)
        sd_event_exit(n->inbox->loop, 0);
}

static void discard(void *letter)
{
    CLEANUP_FREE struct note *n = letter;

    n->inbox->discarded++;
}

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < EACH; i++) {
        struct note *n = xmalloc(sizeof(*n));

        *n = (struct note){ .inbox = s->inbox, .who = s->who, .number = i };
        mailbox_post(s->mailbox, deliver, discard, n);
    }
    return NULL;
}

TEST(letters_of_many_threads_arrive_once_and_in_order)
{
    CLEANUP_ERR struct err *err = NULL;
    CLEANUP(mailbox_free) struct mailbox *m = NULL;
    struct inbox inbox = { 0 };
    struct sender senders[THREADS];
    pthread_t threads[THREADS];

    need_true(sd_event_new(&inbox.loop) >= 0);
    need_ok(mailbox_new(inbox.loop, &m, &err), err);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){ .mailbox = m, .inbox = &inbox, .who = i };
        need_true(pthread_create(&threads[i], NULL, send_all, &senders[i]) == 0);
    }
    check_int(sd_event_loop(inbox.loop), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_int(inbox.got, THREADS * EACH);
    check_int(inbox.out_of_order, 0);
    check_int(inbox.discarded, 0);
    sd_event_unref(inbox.loop);
}

static struct mailbox *reposting;

static void repost(void *letter)
{
    struct note *n = letter;

    n->inbox->got++;
    mailbox_post(reposting, repost, discard, n);
}

/* A letter that is posted while letters are delivered waits for the next turn of the loop. */
TEST(a_letter_that_posts_itself_again_does_not_hold_up_the_loop)
{
    CLEANUP_ERR struct err *err = NULL;
    struct inbox inbox = { 0 };
    struct note *n = xcalloc(1, sizeof(*n));

    need_true(sd_event_new(&inbox.loop) >= 0);
    need_ok(mailbox_new(inbox.loop, &reposting, &err), err);
    n->inbox = &inbox;
    mailbox_post(reposting, repost, discard, n);
    for (int i = 0; i < 3; i++)
        check_true(sd_event_run(inbox.loop, 1000000) > 0);
    check_int(inbox.got, 3);
    mailbox_free(reposting);
    check_int(inbox.discarded, 1);
    sd_event_unref(inbox.loop);
}

CHECK_MAIN()
