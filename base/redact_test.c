/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/redact.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strv.h"

#define SEED "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"

static const struct {
    const char *name, *in, *out;
} table[] = {
    { "nothing", "all is well\n", "all is well\n" },
    { "PEM", "a\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\nb",
      "a\n-----BEGIN EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----\nb" },
    { "PEM that was cut", "-----BEGIN PRIVATE KEY-----\nMHcCAQ", "-----BEGIN PRIVATE KEY-----***" },
    { "a certificate is none", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
      "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" },
    { "a header", "> Authorization: Basic dXNlcjpwYXNz\r\n> Accept: */*\r\n",
      "> Authorization: ***\r\n> Accept: */*\r\n" },
    { "a header in JSON", "{\"Authorization\": \"Bearer abc\", \"x\": 1}",
      "{\"Authorization\": \"***\", \"x\": 1}" },
    { "a bearer token", "with bearer 0123456789abcdef0123", "with bearer ***" },
    { "bearer in prose", "the bearer of this", "the bearer of this" },
    { "a JWT", "token eyJhbGciOi.eyJzdWIi.c2ln, ok", "token ***, ok" },
    { "eyJ in prose", "eyJ is no token", "eyJ is no token" },
    { "a seed", "seed " SEED " of it", "seed *** of it" },
    { "a longer word is none", SEED "QQ", SEED "QQ" },
    { "a URL", "dialing nats://fleet:s3cr3t@127.0.0.1:4222 failed",
      "dialing nats://fleet:***@127.0.0.1:4222 failed" },
    { "a URL without", "http://127.0.0.1:4222/a@b", "http://127.0.0.1:4222/a@b" },
    { "a setting", "nats_password: 0a1b2c\nname: x", "nats_password: ***\nname: x" },
    { "nats.conf", "{user: \"fleet\", password: \"a b\", permissions: {}}",
      "{user: \"fleet\", password: \"***\", permissions: {}}" },
    { "a variable", "Environment=NATS_PASSWORD=abc def", "Environment=NATS_PASSWORD=*** def" },
    { "JSON", "{\"client_secret\":\"a\\\"b\",\"n\":1}", "{\"client_secret\":\"***\",\"n\":1}" },
    { "JSON within JSON", "{\\\"password\\\":\\\"abc\\\"}", "{\\\"password\\\":\\\"***\\\"}" },
    { "CONNECT", "CONNECT {\"user\":\"u\",\"pass\":\"x\",\"lang\":\"C\"}",
      "CONNECT {\"user\":\"u\",\"pass\":\"***\",\"lang\":\"C\"}" },
    { "env of a score",
      "{\"name\":\"DB_PASSWORD\",\"value\":\"x y\"},{\"name\":\"A\",\"value\":\"b\"}",
      "{\"name\":\"DB_PASSWORD\",\"value\":\"***\"},{\"name\":\"A\",\"value\":\"b\"}" },
    { "an option", "nats --password abc --token=def run", "nats --password *** --token=*** run" },
    { "an empty one", "password: \"\", x", "password: \"\", x" },
    { "none is given", "\"token\": null,", "\"token\": null," },
    { "prose", "the password is wrong; a token of it", "the password is wrong; a token of it" },
    { "kubeconfig", "    client-key-data: LS0tLS1\n", "    client-key-data: ***\n" },
    { "a known one", "x=hunter22!y", "x=***!y" },
    { "known, but short", "abcde", "abcde" },
    { "twice is the same", "password: ***", "password: ***" },
};

TEST(secrets_are_hidden_and_nothing_else)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT(1 << 16);

        check_case("%s", table[i].name);
        redact(&out, table[i].in, strlen(table[i].in), ARGV("hunter22", "abcde"));
        check_str(buf_str(&out), table[i].out);
    }
}

TEST(any_piece_of_a_text_is_taken)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        for (size_t len = 0; len <= strlen(table[i].in); len++) {
            CLEANUP_BUF struct buf out = BUF_INIT(1 << 16);
            CLEANUP_FREE char *piece = xmalloc(len + 1); /* no NUL: nothing is read behind it */

            check_case("%s, %zu bytes", table[i].name, len);
            memcpy(piece, table[i].in, len);
            piece[len] = '\xff';
            redact(&out, piece, len, NULL);
            check_true(out.len <= len + 4 * strlen(REDACTED));
        }
}

TEST(zero_bytes_are_kept)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 16);

    redact(&out, "a\0password=b\0", 13, NULL);
    check_int((int64_t)out.len, 15);
    check_true(memcmp(out.data, "a\0password=***\0", 15) == 0);
}

CHECK_MAIN()
