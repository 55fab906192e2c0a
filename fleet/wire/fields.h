/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Codecs as tables: a message is a list of members, each with its JSON key, its type and its place
 * in the struct, and decoding, encoding and freeing walk that list. Private to fleet/wire.
 *
 * Unknown members are ignored. An optional member that is absent or null leaves its place alone, so
 * a zeroed struct holds the defaults.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct field_type {
    int (*decode)(const json_t *value, void *dst, struct err **err);
    /* New reference; NULL leaves the member out. */
    json_t *(*encode)(const void *src);
    void (*done)(void *p); /* NULL when the type owns nothing */
};

struct field {
    const char *key; /* NULL ends a table */
    const struct field_type *type;
    size_t offset;
    bool optional;
};

#define FIELD(owner, member, key, type) { key, &type, offsetof(struct owner, member), false }
#define FIELD_OPTIONAL(owner, member, key, type)                                                   \
    { key, &type, offsetof(struct owner, member), true }

#define FIELD_LINE_MAX 256 /* bytes */

extern const struct field_type field_device_id;  /* char *, checked */
extern const struct field_type field_deployment; /* char *, checked */
extern const struct field_type field_line;       /* char *, short, no control characters */
extern const struct field_type field_string;     /* char *, anything */
extern const struct field_type field_count;      /* int >= 0; 0 is unknown and left out */
extern const struct field_type field_bool;       /* bool */
extern const struct field_type field_time;       /* int64_t, ms since 1970, years 1970 to 9999 */

/* On failure `dst` is half-filled: fields_done() frees it. */
int fields_decode(const json_t *object, const struct field *fields, void *dst, struct err **err);
/* New reference. */
json_t *fields_encode(const struct field *fields, const void *src);
void fields_done(const struct field *fields, void *p);

/* A whole message: `what` names it in errors. */
int message_decode(const char *what, const char *data, size_t len, size_t max,
                   const struct field *fields, void *dst, struct err **err);
/* Compact JSON. The caller frees it. */
char *message_encode(const struct field *fields, const void *src);

/* "must be a string, is a number", with what to do about it. */
int type_error(const json_t *value, const char *want, struct err **err);
/* The text of a JSON string without NULs, borrowed. */
int string_decode(const json_t *value, const char **ret, struct err **err);
/* The same of a member that must be there. */
int string_member(const json_t *object, const char *key, const char **ret, struct err **err);
/* New reference. Bytes that are not UTF-8 become U+FFFD; what follows `max` characters is cut. */
json_t *string_encode(const char *s, size_t max);

/* `s` in double quotes for an error text: cut when long, and everything but printable ASCII
 * escaped, so that a hostile or look-alike name shows what it is. Valid in the enclosing block. */
struct quote {
    char text[400];
};
const char *quote_text(struct quote *q, const char *s);
#define QUOTE(s) quote_text(&(struct quote){ "" }, (s))
