/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * Theory of operation: one pass. At every byte the rows of a table are asked whether a secret is
 * announced there: how many bytes to keep (the announcement), and how many to hide. A row looks
 * forward only and is bounded by its line, but for PEM, so the pass takes linear time.
 */

#include "base/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define BEARER_MIN 16
#define SEED_LEN 58
#define VALUE_MAX 8192

struct span {
    const char *text, *at, *end; /* the whole, where we look, its end */
};

struct find {
    size_t keep, hide; /* hide 0: nothing is announced here */
};

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-._~+/=", c));
}

static bool starts(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - at) >= len && strncasecmp(at, word, len) == 0;
}

static const char *skip(const char *at, const char *end, const char *chars)
{
    while (at < end && *at && strchr(chars, *at))
        at++;
    return at;
}

static size_t run_of(const char *at, const char *end, bool (*in)(char c))
{
    const char *from = at;

    while (at < end && in(*at))
        at++;
    return (size_t)(at - from);
}

/* Up to a quote that ends it, or, without one, to where a bare value ends. */
static size_t value_len(const char *at, const char *end, char quote)
{
    const char *from = at;

    for (; at < end && *at != '\n' && at - from < VALUE_MAX; at++) {
        if (*at == '\\' && quote && quote != '\\' && at + 1 < end && at[1] != '\n') {
            at++;
            continue;
        }
        if (quote ? *at == quote : isspace((unsigned char)*at) || strchr("\"',;})]", *at))
            break;
    }
    return (size_t)(at - from);
}

/* --- The rows -------------------------------------------------------------------------------- */

static struct find find_pem(const struct span *s)
{
    static const char begin[] = "-----BEGIN ", key[] = "PRIVATE KEY-----", end[] = "-----END ";
    const char *line, *last;

    if (!starts(s->at, s->end, begin))
        return (struct find){ 0 };
    line = memchr(s->at, '\n', (size_t)(s->end - s->at));
    last = memmem(s->at, (size_t)((line ? line : s->end) - s->at), key, strlen(key));
    if (!last)
        return (struct find){ 0 };
    last += strlen(key);
    line = memmem(last, (size_t)(s->end - last), end, strlen(end));
    return (struct find){ (size_t)(last - s->at), (size_t)((line ? line : s->end) - last) };
}

/* "://user:password@": the password. */
static struct find find_url(const struct span *s)
{
    const char *at = s->at + 3, *colon = NULL;

    if (!starts(s->at, s->end, "://"))
        return (struct find){ 0 };
    for (; at < s->end && *at != '@'; at++) {
        if (isspace((unsigned char)*at) || strchr("/\"'<>", *at) || at - s->at > 512)
            return (struct find){ 0 };
        if (*at == ':' && !colon)
            colon = at;
    }
    if (at == s->end || !colon || colon + 1 == at)
        return (struct find){ 0 };
    return (struct find){ (size_t)(colon + 1 - s->at), (size_t)(at - colon - 1) };
}

/* Behind "Authorization:" the rest of the line, or of the quoted text. */
static struct find find_authorization(const struct span *s)
{
    const char *at = s->at + strlen("authorization");
    char quote = '\0';
    size_t len;

    if (!starts(s->at, s->end, "authorization"))
        return (struct find){ 0 };
    at = skip(at, s->end, "\"' ");
    if (at == s->end || (*at != ':' && *at != '='))
        return (struct find){ 0 };
    at = skip(at + 1, s->end, " [");
    if (at < s->end && (*at == '"' || *at == '\''))
        quote = *at++;
    for (len = 0; at + len < s->end && at[len] != '\n' && at[len] != '\r'; len++)
        if (quote ? at[len] == quote : at[len] == '"' || at[len] == '\'')
            break;
    return (struct find){ (size_t)(at - s->at), len };
}

static struct find find_bearer(const struct span *s)
{
    const char *at = s->at + strlen("bearer ");
    size_t len;

    if (!starts(s->at, s->end, "bearer "))
        return (struct find){ 0 };
    len = run_of(at, s->end, token_char);
    return (struct find){ strlen("bearer "), len >= BEARER_MIN ? len : 0 };
}

/* header.payload.signature, RFC 7519; a header begins with {" and that is eyJ. */
static struct find find_jwt(const struct span *s)
{
    size_t len, dots = 0;

    if (!starts(s->at, s->end, "eyJ") || s->at[0] != 'e')
        return (struct find){ 0 };
    len = run_of(s->at, s->end, token_char);
    for (size_t i = 0; i < len; i++)
        dots += s->at[i] == '.';
    return (struct find){ 0, dots >= 2 ? len : 0 };
}

static bool seed_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
}

/* A seed of an nkey: S, its type, base32. */
static struct find find_seed(const struct span *s)
{
    if (*s->at != 'S' || s->end - s->at < SEED_LEN || !strchr("ACNOUX", s->at[1]) ||
        (s->at > s->text && word_char(s->at[-1])) || run_of(s->at, s->end, seed_char) != SEED_LEN)
        return (struct find){ 0 };
    return (struct find){ 0, SEED_LEN };
}

/* --- Names whose values are secrets ---------------------------------------------------------- */

static const char *const names[] = { "password", "passwd",          "passphrase",    "secret",
                                     "token",    "client-key-data", "client_secret", "private_key",
                                     "api_key",  "apikey",          "credentials",   "seed",
                                     "\"pass\"", "\"jwt\"",         "\"sig\"" };

static bool is_nothing(const char *at, size_t len)
{
    static const char *const nothing[] = { "null", "true", "false", "none", "nil", "[]", "{" };

    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        if (len == strlen(nothing[i]) && strncasecmp(at, nothing[i], len) == 0)
            return true;
    return len == 0 || strncmp(at, REDACTED, len) == 0;
}

/* What stands between a name and its value: `: `, `=`, `": "`, `","value":"`, and a blank behind an
 * option. NULL when none does. */
static const char *separator(const struct span *s, const char *at)
{
    static const char pair[] = "\"value\"";
    bool option = s->at - s->text >= 2 && s->at[-1] == '-' && s->at[-2] == '-';
    const char *next = skip(at, s->end, "\"'\\ ");

    if (next < s->end && *next == ',' && next > at) {
        next = skip(next + 1, s->end, " \n\t");
        if (!starts(next, s->end, pair))
            return NULL;
        next = skip(next + strlen(pair), s->end, " ");
    }
    if (next < s->end && (*next == ':' || *next == '='))
        return skip(next + 1, s->end, " ");
    return option && at < s->end && *at == ' ' ? skip(at, s->end, " ") : NULL;
}

static struct find find_named(const struct span *s)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *at;
        char quote = '\0';
        size_t len;

        if (!starts(s->at, s->end, names[i]))
            continue;
        at = separator(s, s->at + strlen(names[i]));
        if (!at || at >= s->end)
            continue;
        if (*at == '"' || *at == '\'' || *at == '\\') /* \" is JSON within JSON, up to the next \ */
            quote = *at++;
        if (quote == '\\' && at < s->end && *at == '"')
            at++;
        len = value_len(at, s->end, quote);
        if (!is_nothing(at, len))
            return (struct find){ (size_t)(at - s->at), len };
    }
    return (struct find){ 0 };
}

/* --- The pass -------------------------------------------------------------------------------- */

/* By the bytes with which a row can begin. */
static const struct {
    const char *first;
    struct find (*find)(const struct span *s);
} rows[] = {
    { "-", find_pem }, { ":", find_url },  { "aA", find_authorization },   { "bB", find_bearer },
    { "e", find_jwt }, { "S", find_seed }, { "pPsStTcCaA\"", find_named },
};

static struct find find_known(const struct span *s, char *const *known)
{
    for (size_t i = 0; known && known[i]; i++) {
        size_t len = strlen(known[i]);

        if (len >= REDACT_KNOWN_MIN && (size_t)(s->end - s->at) >= len &&
            memcmp(s->at, known[i], len) == 0)
            return (struct find){ 0, len };
    }
    return (struct find){ 0 };
}

static struct find look(const struct span *s, char *const *known)
{
    struct find f = find_known(s, known);

    for (size_t i = 0; f.hide == 0 && *s->at && i < ARRAY_LEN(rows); i++)
        if (strchr(rows[i].first, *s->at))
            f = rows[i].find(s);
    return f;
}

void redact(struct buf *out, const char *text, size_t len, char *const *known)
{
    struct span s = { .text = text, .at = text, .end = text + len };
    const char *kept = text;

    while (s.at < s.end) {
        struct find f = look(&s, known);

        if (f.hide == 0) {
            s.at++;
            continue;
        }
        buf_add(out, kept, (size_t)(s.at + f.keep - kept));
        buf_adds(out, REDACTED);
        s.at = kept = s.at + f.keep + f.hide;
    }
    buf_add(out, kept, (size_t)(s.end - kept));
}
