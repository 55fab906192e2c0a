/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/testing/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/mem.h"

static bool readable(int fd, int stop)
{
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = stop, .events = POLLIN } };

    return poll(fds, 2, -1) > 0 && !fds[1].revents;
}

static void answer(struct peer *p, const struct peer_answer *a, int fd)
{
    CLEANUP_BUF struct buf request = BUF_INIT(1 << 20);
    char data[4096];
    ssize_t n;

    do {
        if (!readable(fd, p->stop[0]) || (n = recv(fd, data, sizeof(data), 0)) <= 0)
            return;
        buf_add(&request, data, (size_t)n);
    } while (!strstr(buf_str(&request), "\r\n\r\n"));
    buf_adds(&p->requests, buf_str(&request));

    for (int i = 0; i < PEER_PIECES && a->pieces[i]; i++) {
        struct pollfd stop = { .fd = p->stop[0], .events = POLLIN };

        if (a->pause_ms && poll(&stop, 1, a->pause_ms) > 0)
            return;
        send(fd, a->pieces[i], strlen(a->pieces[i]), MSG_NOSIGNAL);
    }
    while (a->hang && readable(fd, p->stop[0]) && recv(fd, data, sizeof(data), 0) > 0)
        ;
}

static void *serve(void *arg)
{
    struct peer *p = arg;

    for (size_t i = 0; readable(p->fd, p->stop[0]);) {
        CLEANUP_CLOSE int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        answer(p, &p->answers[i], fd);
        if (i + 1 < p->n_answers)
            i++;
    }
    return NULL;
}

void peer_start(struct peer *p, const struct peer_answer *answers, size_t n_answers,
                const char *unix_socket)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(in);

    *p = (struct peer){
        .requests = BUF_INIT(1 << 20),
        .answers = answers,
        .n_answers = n_answers,
    };
    need_true(pipe(p->stop) == 0);
    p->fd = socket(unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (unix_socket) {
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", unix_socket);
        need_true(bind(p->fd, (struct sockaddr *)&un, sizeof(un)) == 0);
        p->http.base_url = xstrdup("http://d");
        p->http.unix_socket = xstrdup(unix_socket);
    } else {
        need_true(bind(p->fd, (struct sockaddr *)&in, sizeof(in)) == 0);
        need_true(getsockname(p->fd, (struct sockaddr *)&in, &len) == 0);
        p->http.base_url = xasprintf("http://127.0.0.1:%d", ntohs(in.sin_port));
    }
    need_true(listen(p->fd, 8) == 0);
    need_true(pthread_create(&p->thread, NULL, serve, p) == 0);
}

void peer_stop(struct peer *p)
{
    close(p->stop[1]); /* readable for the thread from now on */
    pthread_join(p->thread, NULL);
    close(p->stop[0]);
    close(p->fd);
    http_peer_done(&p->http);
}

void peer_done(struct peer *p)
{
    buf_done(&p->requests);
}
