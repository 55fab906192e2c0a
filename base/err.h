/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Errors as a chain of contexts.
 *
 * A function that can fail takes `struct err **err` as its last argument, returns 0 (or a
 * non-negative value) on success and a negative errno on failure, and sets *err exactly then.
 * Callers that add what they were doing wrap it:
 *
 *     if (podman_connect(p, path, err) < 0)
 *         return err_wrap(err, "connecting to podman socket %s", path);
 *
 * which reads "connecting to podman socket /run/...: permission denied". A caller that does not
 * care passes NULL. The caller owns *err and frees it with err_free() or CLEANUP_ERR.
 */

#include "base/cleanup.h"

struct err;

/* Makes a new error with `errnum` (a positive errno; 0 means EINVAL) and returns -errnum. An
 * error that *err already holds is replaced. */
int err_new(struct err **err, int errnum, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Like err_new(), with ": strerror(errnum)" added to the text. */
int err_errno(struct err **err, int errnum, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Puts a context in front of the error in *err and returns its negative errno; -EIO when `err` is
 * NULL, since the cause went with the error that nobody wanted. Return the callee's own value
 * instead where a caller that passes NULL needs the errno. */
int err_wrap(struct err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds what to do next; shown on a line of its own by err_text_full(). Returns the negative errno,
 * -EIO when there is no error to add it to. */
int err_hint(struct err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "context: context: message". Owned by the error. "no error" for NULL. */
const char *err_text(const struct err *err);
/* What to do next, or NULL. Owned by the error. */
const char *err_next(const struct err *err);
/* The text and, on a line of its own, what to do next. The caller frees it. */
char *err_text_full(const struct err *err);
/* The positive errno; 0 for NULL. */
int err_code(const struct err *err);

void err_free(struct err *err);
DEFINE_CLEANUP(struct err *, err_free)
#define CLEANUP_ERR CLEANUP(err_free)
