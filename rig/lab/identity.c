/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: a process costs tens of milliseconds on an emulated device, so the script
 * starts few. The kernel's boot id cannot be set: a file is bound over it, which holds until the
 * kernel makes a new one at the next boot. Writing to /dev/urandom alone changes nothing for minutes,
 * hence the ioctl (random(4), RNDRESEEDCRNG). The journal's daemon is the one that
 * holds machine-id and boot id, sshd the host key; both start anew, and our session lives on. PID 1
 * keeps the machine-id that it read for nothing but an answer on D-Bus. What podman notes in /run it
 * would take for that of an earlier boot, so it goes before the machine is saved.
 */

#include "rig/lab/identity.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rig/lab/remote_host.h"

#define COMMAND_MAX (64 << 10)
#define NOT_OURS 3 /* exit status */

/* $1: nonce */
#define PREPARE                                                                                    \
    "systemctl is-system-running --wait >/dev/null; set -e; "                                      \
    "echo \"$1\" >/run/fleetrig-nonce; echo \"$1\" >/var/lib/fleetrig-nonce; "                     \
    "systemctl stop dbus.service podman.service; rm -rf /run/containers /run/libpod; sync"

/* $1 nonce, $2 time, $3 randomness, $4 name, $5 who may log in, $6 machine-id, $7 boot id, $8 public
 * host key; the private one on stdin */
#define GIVE                                                                                       \
    "set -e; { read -r a </run/fleetrig-nonce; read -r b </var/lib/fleetrig-nonce; } || exit 3; "  \
    "[ \"$a $b\" = \"$1 $1\" ] || exit 3; "                                                        \
    "date -u -s \"@$2\" >/dev/null; "                                                              \
    "perl -e 'open(F, q(>), q(/dev/urandom)) && syswrite(F, $ARGV[0]) && ioctl(F, 0x5207, 0) or "  \
    "die $!' \"$3\"; "                                                                             \
    "echo \"$4\" >/proc/sys/kernel/hostname; echo \"$5\" >/run/authorized-keys/root; "             \
    "read -r old </etc/machine-id; mv \"/var/log/journal/$old\" \"/var/log/journal/$6\"; "         \
    "echo \"$6\" >/etc/machine-id; echo \"$6\" >/run/machine-id; "                                 \
    "echo \"$7\" >/run/boot-id; mount --bind /run/boot-id /proc/sys/kernel/random/boot_id; "       \
    "cat >/etc/ssh/ssh_host_ed25519_key; echo \"$8\" >/etc/ssh/ssh_host_ed25519_key.pub; "         \
    "rm /run/fleetrig-nonce /var/lib/fleetrig-nonce; sync; "                                       \
    "systemctl --no-block restart systemd-journald.service; "                                      \
    "read -r pid </run/sshd.pid; kill -HUP \"$pid\""

/* Arguments become those of the login shell itself: that is one process less. */
static char *command_line(const char *script, const char *const *args)
{
    CLEANUP_BUF struct buf line = BUF_INIT(COMMAND_MAX);

    buf_adds(&line, "set --");
    for (; *args; args++) {
        CLEANUP_FREE char *word = remote_quote(*args);

        buf_addf(&line, " %s", word);
    }
    buf_addf(&line, "; %s", script);
    return buf_steal(&line);
}

static int run(struct remote *remote, const char *script, const char *const *args,
               const char *input, int64_t timeout_ms, struct err **err)
{
    CLEANUP_FREE char *line = command_line(script, args), *said = NULL;
    int status = 0;
    int r = remote_exec(remote, line, input, input ? strlen(input) : 0, timeout_ms, &status, &said,
                        err);

    if (r < 0)
        return r;
    if (status == NOT_OURS)
        return err_new(err, EKEYREJECTED, "its memory or its disk is not what was saved");
    return status ? err_new(err, EIO, "status %d: %.500s", status, said) : 0;
}

int identity_prepare(struct remote *remote, const char *nonce, int64_t timeout_ms, struct err **err)
{
    int r = run(remote, PREPARE, (const char *const[]){ nonce, NULL }, NULL, timeout_ms, err);

    return r < 0 ? err_wrap(err, "preparing to be saved") : 0;
}

static void random_hex(char *hex, size_t digits)
{
    unsigned char raw[64];

    randombytes_buf(raw, digits / 2);
    sodium_bin2hex(hex, digits + 1, raw, digits / 2);
}

void identity_uuid(char ret[static 37])
{
    char hex[33];

    random_hex(hex, 32);
    hex[12] = '4';
    hex[16] = '8';
    snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int identity_give(struct remote *remote, const struct identity *identity, int64_t timeout_ms,
                  struct err **err)
{
    CLEANUP_FREE char *private = NULL, *public = NULL, *print = NULL;
    char entropy[129], machine_id[33], boot_id[37], now[32];
    int64_t ms;
    int r = remote_hostkey_make(&private, &public, &print, err);

    if (r < 0)
        return r;
    random_hex(entropy, 128);
    random_hex(machine_id, 32);
    identity_uuid(boot_id);
    ms = clock_wall_ms();
    snprintf(now, sizeof(now), "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
    r = run(remote, GIVE,
            (const char *const[]){ identity->nonce, now, entropy, identity->name, identity->ssh_key,
                                   machine_id, boot_id, public, NULL },
            private, timeout_ms, err);
    if (r < 0)
        return r == -ECANCELED ? r : err_wrap(err, "giving it an identity");
    return remote_become(remote, identity->login, print, err);
}
