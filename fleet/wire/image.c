/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/wire/fields.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

#define NAME_MAX_BYTES 255 /* registry and path */
#define TAG_MAX_BYTES 128
#define DIGEST_MIN_DIGITS 32

static bool only(const char *s, const char *allowed)
{
    return *s && s[strspn(s, allowed)] == '\0';
}

static bool alnum(char c)
{
    return c && strchr(LOWER DIGIT, c);
}

/* Words of a-z and 0-9, joined by ".", "_", "__" or any number of "-". */
static bool component_ok(const char *s)
{
    if (!alnum(*s))
        return false;
    while (*s) {
        s += strspn(s, LOWER DIGIT);
        if (!*s)
            return true;
        if (*s == '-')
            s += strspn(s, "-");
        else if (*s == '.')
            s++;
        else if (*s == '_')
            s += s[1] == '_' ? 2 : 1;
        if (!alnum(*s))
            return false;
    }
    return true;
}

static bool tag_ok(const char *tag)
{
    return only(tag, LOWER UPPER DIGIT "_.-") && tag[0] != '.' && tag[0] != '-' &&
           strlen(tag) <= TAG_MAX_BYTES;
}

static bool digest_ok(char *digest)
{
    char *colon = strchr(digest, ':');

    if (!colon)
        return false;
    *colon = '\0';
    return only(digest, LOWER DIGIT "+._-") && only(colon + 1, "abcdef" DIGIT) &&
           strlen(colon + 1) >= DIGEST_MIN_DIGITS;
}

/* What stands before the first "/" is a registry when it cannot be a name. */
static bool is_registry(const char *first)
{
    return strpbrk(first, ".:" UPPER) || strcmp(first, "localhost") == 0;
}

static bool registry_ok(char *registry)
{
    char *colon = strrchr(registry, ':');

    if (colon) {
        *colon = '\0';
        if (!only(colon + 1, DIGIT))
            return false;
    }
    return only(registry, LOWER UPPER DIGIT ".-") && !strchr("-.", registry[0]) &&
           !strchr("-.", registry[strlen(registry) - 1]);
}

static bool name_ok(char *name)
{
    char *slash = strchr(name, '/');

    if (strlen(name) > NAME_MAX_BYTES)
        return false;
    if (slash) {
        *slash = '\0';
        if (is_registry(name)) {
            if (!registry_ok(name))
                return false;
            name = slash + 1;
        } else {
            *slash = '/';
        }
    }
    for (char *piece = name; piece; piece = slash ? slash + 1 : NULL) {
        slash = strchr(piece, '/');
        if (slash)
            *slash = '\0';
        if (!component_ok(piece))
            return false;
    }
    return true;
}

/* Takes the reference apart from its end, where its parts are easy to tell. */
static bool reference_ok(char *image)
{
    char *at = strchr(image, '@'), *slash, *colon;

    if (at) {
        *at = '\0';
        if (!digest_ok(at + 1))
            return false;
    }
    slash = strrchr(image, '/');
    colon = strchr(slash ? slash : image, ':');
    if (colon) {
        *colon = '\0';
        if (!tag_ok(colon + 1))
            return false;
    }
    return name_ok(image);
}

int image_check(const char *image, struct err **err)
{
    CLEANUP_FREE char *copy = xstrdup(image);

    if (!*image)
        return err_new(err, EINVAL, "is empty");
    if (image[strcspn(image, " \t\r\n\v\f")])
        return err_new(err, EINVAL, "%s contains white space", QUOTE(image));
    if (!reference_ok(copy))
        return err_new(err, EINVAL,
                       "%s is not an image reference: write [REGISTRY/]NAME[:TAG][@DIGEST], NAME "
                       "in lower case, for example localhost/hello:v1",
                       QUOTE(image));
    return 0;
}
