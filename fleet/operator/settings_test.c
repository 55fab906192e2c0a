/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/operator/settings.h"

#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

static int load(const char *text, struct settings **ret, struct err **err)
{
    CLEANUP_FREE char *path = xasprintf("%s/operator.yml", check_tmpdir());

    need_true(file_write(path, text, strlen(text), 0600, NULL) == 0);
    return settings_load(path, ret, err);
}

TEST(the_example_is_valid_and_silent_about_defaults)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(settings_load("fleet/operator/operator.yml.example", &s, &err), err);
    check_str(s->nats.user, "fleet-operator");
    check_str(s->kubeconfig, NULL);
    check_int(s->unreachable_after_ms, 75000);
    check_int(s->log_level, LOG_LEVEL_INFO);
}

TEST(every_setting_is_read)
{
    CLEANUP(settings_free) struct settings *s = NULL;
    CLEANUP_ERR struct err *err = NULL;

    need_ok(load("kubeconfig: /k\nnats: { url: 'tls://h:1', ca_file: /ca }\n"
                 "unreachable_after: 2m\nlog_level: error\n",
                 &s, &err),
            err);
    check_str(s->kubeconfig, "/k");
    check_str(s->nats.url, "tls://h:1");
    check_str(s->nats.ca_file, "/ca");
    check_int(s->unreachable_after_ms, 120000);
    check_int(s->log_level, LOG_LEVEL_ERROR);
}

static const struct {
    const char *text, *error;
} bad[] = {
    { "", "nats" },
    { "nats: {}", "url" },
    { "nats: { url: 'http://x' }", "neither nats:// nor tls://" },
    { "nats: { url: 'nats://x', user: a }", "user and password_file go together" },
    { "nats: { url: 'nats://x' }\nunreachable_after: 75", "unreachable_after" },
    { "nats: { url: 'nats://x' }\nunreachable_after: 48h", "between 100ms and 24h" },
    { "nats: { url: 'nats://x' }\nlog_level: loud", "log_level" },
    { "nats: { url: 'nats://x', pasword_file: /x }", "pasword_file" },
};

TEST(a_mistake_names_the_setting)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_ERR struct err *err = NULL;
        struct settings *s = NULL;

        check_case("%s", bad[i].text);
        check_true(load(bad[i].text, &s, &err) < 0);
        check_has(err_text(err), bad[i].error);
        check_true(s == NULL);
    }
}

CHECK_MAIN()
