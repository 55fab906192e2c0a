/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * hello [PORT]: the workload of the lab, a web server that answers every request with
 * its version and closes.
 *
 * It is the only process of its container: as process 1 it must install a handler
 * for SIGTERM or it cannot be told to stop.  One loop over non-blocking sockets serves
 * all clients.  A client that has not finished its request after PATIENCE_MS is cut
 * off, and when all slots are taken the oldest one makes room, so no client can keep
 * another one waiting.  What a client sends is read into a small buffer, and the
 * answer is shorter than any socket buffer, so it is sent with one call.
 */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY "hello " VERSION "\n"

enum { CLIENTS = 64, REQUEST_MAX = 4096, PATIENCE_MS = 5000, PORT = 80 };

struct client {
    int fd; /* -1: a free slot */
    long long since_ms;
    size_t len;
    char request[REQUEST_MAX];
};

static struct client clients[CLIENTS];

static void stop(int sig)
{
    (void)sig;
    _exit(0);
}

static long long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

static void client_answer(struct client *c, const char *status, const char *body)
{
    char answer[256];
    int len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s",
                       status, strlen(body), strncmp(c->request, "HEAD ", 5) ? body : "");

    (void)!send(c->fd, answer, (size_t)len, MSG_NOSIGNAL);
    shutdown(c->fd, SHUT_WR);
    client_close(c);
}

static void client_read(struct client *c)
{
    ssize_t n = recv(c->fd, c->request + c->len, REQUEST_MAX - 1 - c->len, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(c);
        return;
    }
    c->len += (size_t)n;
    c->request[c->len] = '\0';
    if (strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n")) {
        if (!strncmp(c->request, "GET ", 4) || !strncmp(c->request, "HEAD ", 5))
            client_answer(c, "200 OK", BODY);
        else
            client_answer(c, "405 Method Not Allowed", "");
    } else if (c->len == REQUEST_MAX - 1) {
        client_answer(c, "431 Request Header Fields Too Large", "");
    }
}

static void client_accept(int listener)
{
    struct client *slot = &clients[0];
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    for (struct client *c = clients; c < clients + CLIENTS; c++) {
        if (c->fd < 0) {
            slot = c;
            break;
        }
        if (c->since_ms < slot->since_ms)
            slot = c;
    }
    if (slot->fd >= 0)
        client_close(slot);
    *slot = (struct client){ .fd = fd, .since_ms = now_ms() };
}

/* Closes clients that had their time; returns how long the next one has left, or -1. */
static int expire(void)
{
    long long now = now_ms(), left = -1;

    for (struct client *c = clients; c < clients + CLIENTS; c++) {
        long long mine = c->since_ms + PATIENCE_MS - now;

        if (c->fd < 0)
            continue;
        if (mine <= 0)
            client_close(c);
        else if (left < 0 || mine < left)
            left = mine;
    }
    return (int)left;
}

static int listen_on(in_port_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, SOMAXCONN) < 0) {
        fprintf(stderr, "hello: listening on port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : PORT;
    int listener;

    if (argc > 2 || port < 1 || port > 65535) {
        fprintf(stderr, "usage: hello [PORT]\n");
        return 2;
    }
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
    sigaction(SIGINT, &(struct sigaction){ .sa_handler = stop }, NULL);
    for (struct client *c = clients; c < clients + CLIENTS; c++)
        c->fd = -1;
    listener = listen_on((in_port_t)port);
    printf(BODY);
    fflush(stdout);

    for (;;) {
        struct pollfd fds[CLIENTS + 1] = { { .fd = listener, .events = POLLIN } };

        for (int i = 0; i < CLIENTS; i++)
            fds[i + 1] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
        if (poll(fds, CLIENTS + 1, expire()) <= 0)
            continue;
        for (int i = 0; i < CLIENTS; i++)
            if (fds[i + 1].revents && clients[i].fd >= 0)
                client_read(&clients[i]);
        if (fds[0].revents)
            client_accept(listener);
    }
}
