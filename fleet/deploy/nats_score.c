/* SPDX-License-Identifier: AGPL-3.0-only */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/deploy/outcome.h"

#define NATS_READY_MS 20000
#define SMOKE_BUCKET "fleet-smoke"
#define SMOKE_TIMEOUT_MS 10000

/* User names and passwords stand quoted in the configuration; what could end the quotes or be taken
 * for a variable is refused rather than escaped. */
static int plain_word(const char *what, const char *s, struct err **err)
{
    static const char allowed[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (!s || !*s || s[strspn(s, allowed)])
        return err_new(err, EINVAL, "NATS %s must be letters, digits, '.', '_' or '-'", what);
    return 0;
}

static int configuration(const struct nats_score *score, char **ret, struct err **err)
{
    const char *sync = score->sync_interval ? score->sync_interval : "2m";

    if (plain_word("user", score->user, err) < 0 ||
        plain_word("password", score->password, err) < 0 ||
        plain_word("device user", score->device_user, err) < 0 ||
        plain_word("device password", score->device_password, err) < 0 ||
        plain_word("sync interval", sync, err) < 0)
        return -EINVAL;

    *ret = xasprintf("server_name: fleet\n"
                     "listen: \"127.0.0.1:{port:client}\"\n"
                     "jetstream { store_dir: \"{data}\", sync_interval: %s }\n"
                     "accounts {\n"
                     "  FLEET {\n"
                     "    jetstream: enabled\n"
                     "    users: [\n"
                     "      { user: \"%s\", password: \"%s\" }\n"
                     "      { user: \"%s\", password: \"%s\" }\n"
                     "    ]\n"
                     "  }\n"
                     "  SYS {}\n"
                     "}\n"
                     "system_account: SYS\n",
                     sync, score->user, score->password, score->device_user,
                     score->device_password);
    return 0;
}

static int round_trip(const char *url, const char *user, const char *password, struct err **err)
{
    CLEANUP(bus_free) struct bus *bus = NULL;
    struct bus_config config = {
        .url = url, .name = "fleet-smoke", .user = user, .password = password
    };
    struct bus_entry entry = { 0 };
    bool same;

    if (bus_new(&config, NULL, NULL, SMOKE_TIMEOUT_MS, &bus, err) < 0 ||
        bus_ensure_bucket(bus, SMOKE_BUCKET, SMOKE_TIMEOUT_MS, err) < 0 ||
        bus_put(bus, SMOKE_BUCKET, "probe", "works", 5, SMOKE_TIMEOUT_MS, err) < 0 ||
        bus_get(bus, SMOKE_BUCKET, "probe", SMOKE_TIMEOUT_MS, &entry, err) < 0)
        return err_wrap(err, "as user %s", user);
    same = entry.len == 5 && memcmp(entry.value, "works", 5) == 0;
    bus_entry_done(&entry);
    if (!same)
        return err_new(err, EPROTO, "a key did not read back as it was written");
    return bus_delete(bus, SMOKE_BUCKET, "probe", SMOKE_TIMEOUT_MS, err);
}

int nats_score_deploy(const struct nats_score *score, const struct service_host *host,
                      struct outcome *ret, struct err **err)
{
    static const char *const args[] = { "--config", "{config}/nats.conf", NULL };
    static const struct service_port ports[] = { { .name = "client", .number = 4222 } };
    CLEANUP_FREE char *conf = NULL, *endpoint = NULL, *url = NULL;
    bool changed = false;

    if (configuration(score, &conf, err) < 0)
        return err_wrap(err, "NATS");

    struct service_file file = { .name = "nats.conf", .content = conf, .secret = true };
    struct service_spec spec = {
        .name = "nats",
        .program = "nats-server",
        .args = args,
        .files = &file,
        .n_files = 1,
        .ports = ports,
        .n_ports = ARRAY_LEN(ports),
        .durable = true,
        .ready = READY_NATS_INFO,
        .ready_timeout_ms = NATS_READY_MS,
    };
    if (host->ensure(host->impl, &spec, &changed, err) < 0 ||
        host->endpoint(host->impl, "nats", "client", FOR_SERVERS, &endpoint, err) < 0)
        return err_wrap(err, "NATS");
    url = xasprintf("nats://%s", endpoint);
    if (round_trip(url, score->user, score->password, err) < 0)
        return err_wrap(err, "NATS: smoke test at %s", url);
    outcome_set(ret, changed, "serves at %s, JetStream on file, sync %s", url,
                score->sync_interval ? score->sync_interval : "every 2m");
    return 0;
}
