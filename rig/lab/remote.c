/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: libssh runs non-blocking throughout. Each of its calls is repeated while it
 * says SSH_AGAIN, with a wait on the socket in between (drive()) that looks at the deadline and asks
 * `alive` every 200 ms, so that nothing here outlasts its time or an interruption. The socket is
 * ours: the server's banner is peeked at before libssh gets it, because user networking accepts
 * connections for a guest that does not listen yet and then says nothing.
 */

#include "rig/lab/remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strv.h"
#include "rig/lab/remote_host.h"

#define SLICE_MS 200
#define BANNER_MS 2000
#define LOGIN_MS 30000
#define OUTPUT_MAX (1 << 20)
#define CHUNK 32768
#define CIPHERS "aes128-ctr,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"

struct remote {
    char *host, *key_path, *pin_file, *pinned;
    uint16_t port;
    ssh_session session; /* NULL when not connected */
    int (*alive)(void *userdata, struct err **err);
    void *userdata;
    struct device_host capability;
};

DEFINE_CLEANUP(ssh_key, ssh_key_free)

int remote_keygen(const char *path, char **ret_public, struct err **err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    char *base64 = NULL;

    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK)
        return err_new(err, EIO, "making an SSH key failed");
    if (ssh_pki_export_privkey_file(key, NULL, NULL, NULL, path) != SSH_OK || chmod(path, 0600) < 0)
        return err_new(err, EIO, "writing the SSH key %s failed", path);
    if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
        return err_new(err, EIO, "exporting the SSH key failed");
    *ret_public = xasprintf("ssh-ed25519 %s fleetrig", base64);
    ssh_string_free_char(base64);
    return 0;
}

/* "SHA256:..." of a key. The caller frees it; NULL: it has none. */
static char *fingerprint_of(ssh_key key)
{
    unsigned char *hash = NULL;
    char *print, *copy;
    size_t len = 0;

    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) != SSH_OK)
        return NULL;
    print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    copy = xstrdup(print);
    ssh_clean_pubkey_hash(&hash);
    ssh_string_free_char(print);
    return copy;
}

int remote_hostkey_make(char **ret_private, char **ret_public, char **ret_fingerprint,
                        struct err **err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    char *private = NULL, *base64 = NULL;

    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK ||
        ssh_pki_export_privkey_base64(key, NULL, NULL, NULL, &private) != SSH_OK)
        return err_new(err, EIO, "making a host key failed");
    if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK) {
        ssh_string_free_char(private);
        return err_new(err, EIO, "exporting a host key failed");
    }
    *ret_private = xstrdup(private);
    *ret_public = xasprintf("ssh-ed25519 %s", base64);
    *ret_fingerprint = fingerprint_of(key);
    ssh_string_free_char(private);
    ssh_string_free_char(base64);
    return 0;
}

int remote_new(const char *host, uint16_t port, const char *key_path, const char *pin_file,
               struct remote **ret, struct err **err)
{
    CLEANUP(remote_free) struct remote *s = xcalloc(1, sizeof(*s));
    int r;

    if (file_exists(pin_file) && (r = file_read(pin_file, 256, &s->pinned, NULL, err)) < 0)
        return r;
    if (s->pinned && !*s->pinned)
        replace_str(&s->pinned, NULL);
    s->host = xstrdup(host);
    s->port = port;
    s->key_path = xstrdup(key_path);
    s->pin_file = xstrdup(pin_file);
    remote_host_init(s, &s->capability);
    *ret = steal_ptr(s);
    return 0;
}

int remote_become(struct remote *s, const char *key_path, const char *fingerprint, struct err **err)
{
    int r = 0;

    if (fingerprint)
        r = file_replace(s->pin_file, fingerprint, strlen(fingerprint), 0644, err);
    else if (unlink(s->pin_file) < 0 && errno != ENOENT)
        r = err_errno(err, errno, "%s", s->pin_file);
    if (r < 0)
        return r;
    replace_str(&s->pinned, fingerprint);
    replace_str(&s->key_path, key_path);
    return 0;
}

void remote_free(struct remote *s)
{
    if (!s)
        return;
    remote_drop(s);
    free(s->host);
    free(s->key_path);
    free(s->pin_file);
    free(s->pinned);
    free(s);
}

void remote_set_alive(struct remote *s, int (*alive)(void *userdata, struct err **err),
                      void *userdata)
{
    s->alive = alive;
    s->userdata = userdata;
}

/* Says nothing to the peer, which may be gone. */
static void session_free(ssh_session session)
{
    ssh_silent_disconnect(session);
    ssh_free(session);
}
DEFINE_CLEANUP(ssh_session, session_free)

void remote_drop(struct remote *s)
{
    if (s->session)
        session_free(steal_ptr(s->session));
}

const char *remote_fingerprint(const struct remote *s)
{
    return s->pinned;
}

const struct device_host *remote_device_host(struct remote *s)
{
    return &s->capability;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* One slice of waiting for `events` on `fd`. */
static int wait_fd(struct remote *s, int fd, short events, int64_t deadline, struct err **err)
{
    struct pollfd p = { .fd = fd, .events = events };
    int64_t left = clock_left_ms(deadline);
    int r = s->alive ? s->alive(s->userdata, err) : 0;

    if (r < 0)
        return r;
    if (left == 0)
        return err_new(err, ETIMEDOUT, "timed out");
    poll(&p, 1, (int)(left < SLICE_MS ? left : SLICE_MS));
    return 0;
}

/* The same for what the session waits for; for room to write, too, when `has_more` to say. */
static int wait_session(struct remote *s, ssh_session session, bool has_more, int64_t deadline,
                        struct err **err)
{
    bool writes = has_more || (ssh_get_poll_flags(session) & SSH_WRITE_PENDING);

    return wait_fd(s, ssh_get_fd(session), writes ? POLLIN | POLLOUT : POLLIN, deadline, err);
}

/* Repeats a call of libssh until it is done. Gives its result, or our negative errno. */
#define drive(s, session, deadline, err, call)                                                     \
    ({                                                                                             \
        int rc_, waited_ = 0;                                                                      \
        while ((rc_ = (call)) == SSH_AGAIN && waited_ == 0)                                        \
            waited_ = wait_session((s), (session), false, (deadline), (err));                      \
        waited_ < 0 ? waited_ : rc_ < 0 ? err_new((err), EIO, "%s", ssh_get_error(session)) : rc_; \
    })

/* --- connecting ------------------------------------------------------------------------------ */

static int dial(struct remote *s, int64_t deadline, struct err **err)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(s->port) };
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int64_t banner_deadline = clock_mono_ms() + BANNER_MS;
    char start[4];
    int r;

    if (fd < 0 || inet_pton(AF_INET, s->host, &address.sin_addr) != 1)
        return err_new(err, EINVAL, "%s is not an IPv4 address", s->host);
    if (banner_deadline > deadline)
        banner_deadline = deadline;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
        return err_errno(err, errno, "connecting");
    for (;;) {
        ssize_t n = recv(fd, start, sizeof(start), MSG_PEEK);

        if (n == (ssize_t)sizeof(start))
            break;
        if (n == 0)
            return err_new(err, ECONNRESET, "the connection was closed before the SSH banner");
        if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
            return err_errno(err, errno, "connecting");
        if ((r = wait_fd(s, fd, POLLIN, banner_deadline, err)) < 0)
            return r == -ETIMEDOUT ? err_new(err, ETIMEDOUT, "no SSH banner within 2 s") : r;
    }
    if (memcmp(start, "SSH-", sizeof(start)))
        return err_new(err, EPROTO, "what answers does not speak SSH");
    return steal_fd(&fd);
}

static int session_make(struct remote *s, int fd, ssh_session *ret, struct err **err)
{
    CLEANUP(session_free) ssh_session session = ssh_new();
    int no = 0;

    if (!session)
        abort();
    /* The host's name is for messages only; no settings of the person who runs this have a say. */
    if (ssh_options_set(session, SSH_OPTIONS_HOST, s->host) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_USER, "root") < 0 ||
        ssh_options_set(session, SSH_OPTIONS_HOSTKEYS, "ssh-ed25519") < 0 ||
        /* An emulated processor does AES by the real one's instructions, and ChaCha20 step by step. */
        ssh_options_set(session, SSH_OPTIONS_CIPHERS_C_S, CIPHERS) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_CIPHERS_S_C, CIPHERS) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_FD, &fd) < 0)
        return err_new(err, EINVAL, "%s", ssh_get_error(session));
    ssh_set_blocking(session, 0);
    *ret = steal_ptr(session);
    return 0;
}

static int check_host_key(struct remote *s, ssh_session session, struct err **err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    CLEANUP_FREE char *text = NULL;

    if (ssh_get_server_publickey(session, &key) != SSH_OK || !(text = fingerprint_of(key)))
        return err_new(err, EIO, "the server shows no host key");
    if (!s->pinned) {
        int r = file_write(s->pin_file, text, strlen(text), 0644, err);

        if (r < 0)
            return r;
        s->pinned = steal_ptr(text);
    }
    if (text && !str_eq(text, s->pinned))
        return err_new(err, EKEYREJECTED,
                       "the host key is %s, but the machine's is %s: another machine answers", text,
                       s->pinned);
    return 0;
}

static int log_in(struct remote *s, ssh_session session, int64_t deadline, struct err **err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    int r;

    if (ssh_pki_import_privkey_file(s->key_path, NULL, NULL, NULL, &key) != SSH_OK)
        return err_new(err, EINVAL, "the SSH key %s cannot be read", s->key_path);
    r = drive(s, session, deadline, err, ({
                  int auth = ssh_userauth_publickey(session, NULL, key);
                  auth == SSH_AUTH_AGAIN ? SSH_AGAIN : auth == SSH_AUTH_ERROR ? SSH_ERROR : auth;
              }));
    if (r < 0)
        return err_wrap(err, "logging in");
    return r == SSH_AUTH_SUCCESS ? 0 : err_new(err, EACCES, "root's login with our key is refused");
}

static int session_open(struct remote *s, int64_t deadline, struct err **err)
{
    CLEANUP(session_free) ssh_session session = NULL;
    int fd, r;

    if (deadline > clock_mono_ms() + LOGIN_MS)
        deadline = clock_mono_ms() + LOGIN_MS;
    if ((fd = dial(s, deadline, err)) < 0)
        return fd;
    if ((r = session_make(s, fd, &session, err)) < 0) {
        close(fd);
        return r;
    }
    if ((r = drive(s, session, deadline, err, ssh_connect(session))) < 0)
        return r == -ECANCELED ? r : err_wrap(err, "exchanging keys");
    if ((r = check_host_key(s, session, err)) < 0 || (r = log_in(s, session, deadline, err)) < 0)
        return r;
    s->session = steal_ptr(session);
    return 0;
}

/* What trying again cannot mend. */
static bool is_final(int r)
{
    return r == -EKEYREJECTED || r == -EACCES || r == -EINVAL || r == -ECANCELED;
}

int remote_wait(struct remote *s, int64_t timeout_ms, struct err **err)
{
    int64_t start = clock_mono_ms(), deadline = start + timeout_ms;
    CLEANUP_ERR struct err *last = NULL;
    int r;

    while (!s->session || !ssh_is_connected(s->session)) {
        remote_drop(s);
        /* What `alive` says ends the wait, whatever its errno: so it is asked on its own, too. */
        if (s->alive && (r = s->alive(s->userdata, err)) < 0)
            return r;
        if ((r = session_open(s, deadline, &last)) == 0)
            return 0;
        if (s->alive && (r = s->alive(s->userdata, err)) < 0)
            return r;
        if (is_final(-err_code(last)))
            return err_new(err, err_code(last), "%s", err_text(last));
        if (clock_left_ms(deadline) <= SLICE_MS)
            return err_new(err, ETIMEDOUT, "no SSH on %s:%u within %.1f s: %s", s->host, s->port,
                           (double)timeout_ms / 1000, err_text(last));
        poll(NULL, 0, SLICE_MS);
    }
    return 0;
}

/* --- commands -------------------------------------------------------------------------------- */

DEFINE_CLEANUP(ssh_channel, ssh_channel_free)

static int channel_open(struct remote *s, const char *command, int64_t deadline, ssh_channel *ret,
                        struct err **err)
{
    CLEANUP(ssh_channel_free) ssh_channel channel = ssh_channel_new(s->session);
    int r;

    if (!channel)
        return err_new(err, ENOTCONN, "%s", ssh_get_error(s->session));
    r = drive(s, s->session, deadline, err, ssh_channel_open_session(channel));
    if (r >= 0)
        r = drive(s, s->session, deadline, err, ssh_channel_request_exec(channel, command));
    if (r < 0)
        return r;
    *ret = steal_ptr(channel);
    return 0;
}

/* Writes as much of what is left as the peer has room for. */
static int feed(ssh_channel channel, const char *input, size_t len, size_t *fed, struct err **err)
{
    ssh_session session = ssh_channel_get_session(channel);

    while (*fed < len) {
        size_t room = ssh_channel_window_size(channel), n = len - *fed;
        int written;

        if (n > CHUNK)
            n = CHUNK;
        if (n > room)
            n = room;
        if (n == 0 || (ssh_get_poll_flags(session) & SSH_WRITE_PENDING))
            return 0;
        written = ssh_channel_write(channel, input + *fed, (uint32_t)n);
        if (written == SSH_AGAIN || written == 0)
            return 0;
        if (written < 0)
            return err_new(err, EPIPE, "%s", ssh_get_error(session));
        *fed += (size_t)written;
    }
    return 0;
}

/* Takes what has arrived. */
static int drain(ssh_channel channel, bool is_stderr, struct buf *out, struct err **err)
{
    char chunk[CHUNK];
    int n;

    while ((n = ssh_channel_read_nonblocking(channel, chunk, sizeof(chunk), is_stderr)) > 0)
        buf_add(out, chunk, (size_t)n);
    if (n == SSH_ERROR)
        return err_new(err, EIO, "%s", ssh_get_error(ssh_channel_get_session(channel)));
    return 0;
}

static int exit_status(ssh_channel channel, int *ret, struct err **err)
{
    CLEANUP_FREE char *name = NULL;
    char *sig = NULL;
    uint32_t code = 0;
    int core = 0, rc = ssh_channel_get_exit_state(channel, &code, &sig, &core);

    if (rc == SSH_AGAIN)
        return rc;
    name = xstrdup(sig);
    ssh_string_free_char(sig);
    if (rc != SSH_OK)
        return err_new(err, EIO, "the connection ended before the command");
    if (name)
        return err_new(err, EIO, "the command was killed by SIG%s", name);
    *ret = (int)code;
    return SSH_OK;
}

static int converse(struct remote *s, ssh_channel channel, const char *input, size_t len,
                    int64_t deadline, int *ret_status, struct buf *out, struct buf *errout,
                    struct err **err)
{
    bool ended_input = false, has_more;
    size_t fed = 0;
    int r;

    for (;;) {
        if ((r = feed(channel, input, len, &fed, err)) < 0)
            return r;
        if (fed == len && !ended_input) {
            ssh_channel_send_eof(channel);
            ended_input = true;
        }
        if ((r = drain(channel, false, out, err)) < 0 ||
            (r = drain(channel, true, errout, err)) < 0)
            return r;
        if (ssh_channel_is_eof(channel) || ssh_channel_is_closed(channel)) {
            r = exit_status(channel, ret_status, err);
            if (r != SSH_AGAIN)
                return r;
        }
        has_more = fed < len && ssh_channel_window_size(channel) > 0;
        if ((r = wait_session(s, s->session, has_more, deadline, err)) < 0)
            return r;
    }
}

static char *take_output(int status, struct buf *out, struct buf *errout)
{
    bool cut = out->overflow;

    out->max += 100; /* for the remark */
    out->overflow = false;
    if (status != 0) {
        out->max += errout->len;
        if (out->len && out->data[out->len - 1] != '\n' && errout->len)
            buf_addc(out, '\n');
        buf_add(out, errout->data, errout->len);
        cut = cut || errout->overflow;
    }
    if (cut)
        buf_addf(out, "\n[cut: more than %d bytes of output]\n", OUTPUT_MAX);
    return buf_steal(out);
}

int remote_exec(struct remote *s, const char *command, const void *input, size_t len,
                int64_t timeout_ms, int *ret_status, char **ret_out, struct err **err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(OUTPUT_MAX), errout = BUF_INIT(64 << 10);
    int64_t deadline = clock_mono_ms() + timeout_ms;
    bool fresh = !s->session;
    ssh_channel channel = NULL;
    int r, status = 0;

    if (fresh && (r = session_open(s, deadline, err)) < 0)
        return r;
    r = channel_open(s, command, deadline, &channel, err);
    if (r < 0) {
        bool again = !fresh && !ssh_is_connected(s->session);

        remote_drop(s);
        if (!again)
            return r;
        if ((r = session_open(s, deadline, err)) < 0 ||
            (r = channel_open(s, command, deadline, &channel, err)) < 0)
            return r;
    }
    r = converse(s, channel, input, len, deadline, &status, &out, &errout, err);
    ssh_channel_free(channel);
    if (r < 0) {
        remote_drop(s);
        return r;
    }
    *ret_status = status;
    if (ret_out)
        *ret_out = take_output(status, &out, &errout);
    return 0;
}
