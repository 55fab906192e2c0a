/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/link/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "base/mem.h"

struct letter {
    void (*deliver)(void *letter);
    void (*discard)(void *letter);
    void *content;
    STAILQ_ENTRY(letter) next;
};

STAILQ_HEAD(letters, letter);

struct mailbox {
    pthread_mutex_t lock; /* guards `waiting` */
    struct letters waiting;
    struct letters taken; /* being delivered: the loop's thread only */
    int fd;               /* eventfd: readable while letters wait */
    sd_event_source *source;
};

/* Takes what waits in one go, so that a flood of letters cannot starve the rest of the loop. */
static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct mailbox *m = userdata;
    struct letter *l;
    uint64_t count;

    (void)source, (void)revents;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        return -errno;
    pthread_mutex_lock(&m->lock);
    STAILQ_CONCAT(&m->taken, &m->waiting);
    pthread_mutex_unlock(&m->lock);

    while ((l = STAILQ_FIRST(&m->taken))) {
        STAILQ_REMOVE_HEAD(&m->taken, next);
        l->deliver(l->content);
        free(l);
    }
    return 0;
}

int mailbox_new(sd_event *loop, struct mailbox **ret, struct err **err)
{
    CLEANUP(mailbox_free) struct mailbox *m = xcalloc(1, sizeof(*m));
    int r;

    pthread_mutex_init(&m->lock, NULL);
    STAILQ_INIT(&m->waiting);
    STAILQ_INIT(&m->taken);
    m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->fd < 0)
        return err_errno(err, errno, "making an eventfd");
    r = sd_event_add_io(loop, &m->source, m->fd, EPOLLIN, on_wake, m);
    if (r < 0)
        return err_errno(err, -r, "adding a mailbox to the loop");
    *ret = steal_ptr(m);
    return 0;
}

void mailbox_post(struct mailbox *m, void (*deliver)(void *letter), void (*discard)(void *letter),
                  void *letter)
{
    struct letter *l = xmalloc(sizeof(*l));
    bool first;

    *l = (struct letter){ .deliver = deliver, .discard = discard, .content = letter };
    pthread_mutex_lock(&m->lock);
    first = STAILQ_EMPTY(&m->waiting);
    STAILQ_INSERT_TAIL(&m->waiting, l, next);
    pthread_mutex_unlock(&m->lock);
    /* Fails only when the counter is full, and then the loop is awake already. */
    if (first)
        (void)!write(m->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void mailbox_free(struct mailbox *m)
{
    struct letter *l;

    if (!m)
        return;
    STAILQ_CONCAT(&m->taken, &m->waiting);
    while ((l = STAILQ_FIRST(&m->taken))) {
        STAILQ_REMOVE_HEAD(&m->taken, next);
        l->discard(l->content);
        free(l);
    }
    sd_event_source_disable_unref(m->source);
    if (m->fd >= 0)
        close(m->fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
