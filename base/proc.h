/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Child processes, by argument vector and never through a shell. A child gets a process group of
 * its own when asked, /dev/null on stdin unless given another, default signal handling, no other
 * file of ours, and dies with its parent (PR_SET_PDEATHSIG, SIGKILL) unless `outlive` is set. Every
 * wait has a deadline.
 *
 * The kernel ties a child to the thread that started it, not to the process: call proc_spawn() from
 * a thread that lives as long as the child shall. What a child starts in turn is not tied; a group
 * of its own and proc_stop(group) reach it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct proc_spec {
    char *const *argv; /* argv[0] is looked up in PATH when it has no slash */
    char *const *env;  /* added to (and overriding) the parent's, "NAME=value"; NULL adds none */
    const char *cwd;   /* NULL: the parent's */
    int in_fd;         /* child's stdin; 0 means /dev/null */
    int out_fd;        /* child's stdout; 0 means /dev/null */
    int err_fd;        /* child's stderr; 0 means the same as stdout */
    bool own_group;    /* a process group of its own: Ctrl-C at the terminal does not reach it */
    bool outlive;      /* keep running when the parent dies */
    int death_signal;  /* sent to it when the parent dies; 0: SIGKILL */
    /* Called in the child before exec; may only use async-signal-safe calls. Negative errno fails
     * the spawn. NULL for none. */
    int (*prepare)(void *userdata);
    void *userdata;
};

struct proc {
    pid_t pid;      /* 0 after it was reaped */
    int pidfd;      /* poll: readable when it ended; -1 when not running */
    int status;     /* as of waitpid(), valid once pid is 0 */
    int64_t cpu_ms; /* processor time, its own and of children that it waited for; then, too */
};

/* Whether a program of this name would be found in PATH. */
bool proc_find(const char *name);
/* Fails also when the program cannot be executed: the error says why. */
int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err **err);
/* Reaps without blocking. True once it has ended. */
bool proc_ended(struct proc *p);
/* Waits until it ended. -ETIMEDOUT after `timeout_ms`. */
int proc_wait(struct proc *p, int64_t timeout_ms, struct err **err);
/* TERM, then KILL after `grace_ms`, to the process (to its group when `group`), also one that was
 * stopped (SIGSTOP); reaps. */
void proc_stop(struct proc *p, bool group, int64_t grace_ms);
/* "exited with status 3", "killed by signal 9 (Killed)". The caller frees it. */
char *proc_status_text(int status);

/* Runs to the end with stdout and stderr captured (either may be NULL: discarded), stdin from
 * `input` when not NULL. A non-zero exit status is an error that quotes the last lines of stderr. */
int proc_run(char *const *argv, const char *input, int64_t timeout_ms, struct buf *out,
             struct buf *errout, struct err **err);
