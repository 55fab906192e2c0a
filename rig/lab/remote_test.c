/* SPDX-License-Identifier: AGPL-3.0-only */

/* What can be tested of SSH without an SSH server; the rest is in machines_test.c, with a device. */

#include "rig/lab/remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/strv.h"
#include "rig/lab/remote_host.h"
#include "rig/lab/supervisor.h"

TEST(quoted_arguments_pass_a_shell_unchanged)
{
    static const char *const cases[] = { "",      "plain", "two words", "it's",       "'",
                                         "''",    "$HOME", "`id`",      "a\nb",       "\\",
                                         "*?[a]", "!x",    "--",        "\"quoted\"", "a'b'c" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *word = remote_quote(cases[i]);
        CLEANUP_FREE char *script = xasprintf("printf %%s %s", word);
        CLEANUP_BUF struct buf out = BUF_INIT(4096);
        CLEANUP_ERR struct err *err = NULL;

        check_case("%s", cases[i]);
        check_ok(proc_run(ARGV("sh", "-c", script), NULL, 5000, &out, NULL, &err), err);
        check_str(buf_str(&out), cases[i]);
    }
}

TEST(a_key_is_made_for_its_owner_only)
{
    CLEANUP_FREE char *path = xasprintf("%s/key", check_tmpdir()), *public = NULL, *private = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct stat st;

    need_ok(remote_keygen(path, &public, &err), err);
    check_true(str_starts(public, "ssh-ed25519 AAAA"));
    check_int(stat(path, &st), 0);
    check_int(st.st_mode & 0777, 0600);
    need_ok(file_read(path, 4096, &private, NULL, &err), err);
    check_has(private, "PRIVATE KEY-----");
    check_true(remote_keygen("/nonexistent/key", &public, &err) < 0);
}

/* A server on this host's loopback that accepts and says `greeting`, or nothing. */
static int listen_on(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    need_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(fd, 16) == 0);
    return fd;
}

static struct remote *new_remote(uint16_t port)
{
    const char *dir = check_tmpdir();
    CLEANUP_FREE char *key = xasprintf("%s/key", dir), *pin = xasprintf("%s/pin", dir);
    CLEANUP_FREE char *public = NULL;
    CLEANUP_ERR struct err *err = NULL;
    struct remote *r = NULL;

    need_ok(remote_keygen(key, &public, &err), err);
    need_ok(remote_new("127.0.0.1", port, key, pin, &r, &err), err);
    return r;
}

TEST(a_port_that_refuses_is_tried_until_the_deadline)
{
    CLEANUP(remote_free) struct remote *r = NULL;
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms();
    uint16_t port = 0;

    need_ok(port_free(&port, &err), err);
    r = new_remote(port);
    check_int(remote_wait(r, 1000, &err), -ETIMEDOUT);
    check_has(err_text(err), "no SSH on 127.0.0.1:");
    check_has(err_text(err), "Connection refused");
    check_true(clock_mono_ms() - start < 2000);
    check_true(!remote_fingerprint(r));
}

TEST(a_server_that_accepts_and_stays_silent_is_left_after_two_seconds)
{
    CLEANUP(remote_free) struct remote *r = NULL;
    CLEANUP_CLOSE int fd = -1;
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms();
    uint16_t port = 0;
    int status = 0;

    need_ok(port_free(&port, &err), err);
    fd = listen_on(port);
    r = new_remote(port);
    check_int(remote_exec(r, "true", NULL, 0, 30000, &status, NULL, &err), -ETIMEDOUT);
    check_has(err_text(err), "no SSH banner within 2 s");
    check_true(clock_mono_ms() - start < 4000);
}

TEST(what_is_no_ssh_server_is_told)
{
    CLEANUP(remote_free) struct remote *r = NULL;
    CLEANUP(supervisor_free) struct supervisor *s = NULL;
    CLEANUP_FREE char *number = NULL;
    CLEANUP_ERR struct err *err = NULL;
    uint16_t port = 0;
    int status = 0;

    need_ok(port_free(&port, &err), err);
    number = xasprintf("%u", port);
    need_ok(supervisor_new(check_tmpdir(), &s, &err), err);
    need_ok(supervisor_start(s, "nats", ARGV("nats-server", "-a", "127.0.0.1", "-p", number), NULL,
                             &err),
            err);
    r = new_remote(port);
    check_within(10000, (remote_exec(r, "true", NULL, 0, 5000, &status, NULL, &err),
                         strstr(err_text(err), "does not speak SSH")));
}

static int dead(void *userdata, struct err **err)
{
    int *asked = userdata;

    return ++*asked < 3 ? 0 : err_new(err, ECHILD, "the machine died");
}

TEST(a_wait_ends_with_what_it_waits_for)
{
    CLEANUP(remote_free) struct remote *r = NULL;
    CLEANUP_CLOSE int fd = -1;
    CLEANUP_ERR struct err *err = NULL;
    int64_t start = clock_mono_ms();
    uint16_t port = 0;
    int asked = 0;

    need_ok(port_free(&port, &err), err);
    fd = listen_on(port);
    r = new_remote(port);
    remote_set_alive(r, dead, &asked);
    check_int(remote_wait(r, 60000, &err), -ECHILD);
    check_str(err_text(err), "the machine died");
    check_true(clock_mono_ms() - start < 3000);
}

CHECK_MAIN()
