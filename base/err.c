/* SPDX-License-Identifier: AGPL-3.0-only */

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

struct err {
    int code; /* positive errno */
    char *text;
    char *next; /* what to do next, or NULL */
};

static char *__attribute__((format(printf, 1, 0))) vtext(const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    return text;
}

/* Takes over `text`. Does nothing but free it when the caller does not care for errors. */
static int set(struct err **err, int errnum, char *text)
{
    struct err *e = NULL;

    if (!err) {
        free(text);
        return -errnum;
    }
    e = xcalloc(1, sizeof(*e));
    e->code = errnum;
    e->text = text;
    err_free(*err);
    *err = e;
    return -errnum;
}

int err_new(struct err **err, int errnum, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    /* The text is made before the old error goes: it may quote it. */
    va_start(ap, fmt);
    text = vtext(fmt, ap);
    va_end(ap);
    return set(err, errnum > 0 ? errnum : EINVAL, text);
}

int err_errno(struct err **err, int errnum, const char *fmt, ...)
{
    va_list ap;
    CLEANUP_FREE char *what = NULL;
    char reason[128];

    if (errnum <= 0)
        errnum = EINVAL;
    va_start(ap, fmt);
    what = vtext(fmt, ap);
    va_end(ap);
    return set(err, errnum, xasprintf("%s: %s", what, strerror_r(errnum, reason, sizeof(reason))));
}

int err_wrap(struct err **err, const char *fmt, ...)
{
    va_list ap;
    CLEANUP_FREE char *context = NULL;
    char *text = NULL;

    /* The cause went with the error that nobody wanted: all that is left to say is "failed". */
    if (!err)
        return -EIO;

    va_start(ap, fmt);
    context = vtext(fmt, ap);
    va_end(ap);
    if (!*err)
        return set(err, EIO, steal_ptr(context));
    text = xasprintf("%s: %s", context, (*err)->text);
    free((*err)->text);
    (*err)->text = text;
    return -(*err)->code;
}

int err_hint(struct err **err, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    if (!err || !*err)
        return -EIO;
    va_start(ap, fmt);
    text = vtext(fmt, ap);
    va_end(ap);
    free((*err)->next);
    (*err)->next = text;
    return -(*err)->code;
}

const char *err_text(const struct err *err)
{
    return err ? err->text : "no error";
}

const char *err_next(const struct err *err)
{
    return err ? err->next : NULL;
}

char *err_text_full(const struct err *err)
{
    if (!err || !err->next)
        return xstrdup(err_text(err));
    return xasprintf("%s\n%s", err->text, err->next);
}

int err_code(const struct err *err)
{
    return err ? err->code : 0;
}

void err_free(struct err *err)
{
    if (!err)
        return;
    free(err->text);
    free(err->next);
    free(err);
}
