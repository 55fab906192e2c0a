/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * The ledger of a lab: DIR/ledger.jsonl says what must be taken back, by whom ever. An entry is
 * written and synced before what it tells of is done, and crossed out once it was taken back; so
 * whatever kills the rig, the open entries cover what is left, and may cover what never happened:
 * taking back is idempotent.
 *
 * Two sorts of entries. A resource (process, machine, folder, mount) is taken back by
 * anybody who can read the entry: rig/lab/heal.h. A fault is a sentence, taken back by its verb's
 * undo while its lab lives; with its lab gone there is nothing left that it could be a fault of.
 *
 * The first line is {"ledger":1,"pid":...,"start":...,"boot":"..."}: the owner by process id, start time
 * in clock ticks (proc(5), field 22) and boot id, so that neither a reused pid nor a reboot
 * deceives. A ledger of another version is read no further: its owner is told of and its folder kept.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define LEDGER_NAME "ledger.jsonl"
#define LEDGER_VERSION 1
#define LEDGER_MAX (4 * 1024 * 1024)

enum ledger_kind {
    LEDGER_FAULT,   /* subject: the sentence */
    LEDGER_PROCESS, /* subject: its name; pid, start */
    LEDGER_MACHINE, /* subject: the domain's name; place: libvirt URI; uuid */
    LEDGER_FOLDER,  /* subject: its absolute path */
    LEDGER_MOUNT,   /* subject: where */
};

struct ledger_entry {
    uint64_t id; /* from 1, in order */
    enum ledger_kind kind;
    char *subject, *place, *uuid; /* NULL where they mean nothing */
    pid_t pid;
    uint64_t start; /* of the process, in clock ticks since boot */
    int64_t wall_ms;
};

/* --- Writing, from any thread. A NULL ledger takes notes of nothing and succeeds. --- */

struct ledger;

/* `dir` must exist. -EEXIST when it has a ledger: what that tells of is to be taken back first. */
int ledger_new(const char *dir, struct ledger **ret, struct err **err);
/* That of a dead owner, once it was read, for crossing out what is taken back. */
int ledger_reopen(const char *dir, struct ledger **ret, struct err **err);
/* Closes; open entries stay open. */
void ledger_free(struct ledger *l);
DEFINE_CLEANUP(struct ledger *, ledger_free)
/* Durable when it returns. Fills in *ret_id (may be NULL). */
int ledger_note(struct ledger *l, const struct ledger_entry *entry, uint64_t *ret_id,
                struct err **err);
int ledger_fault(struct ledger *l, const char *sentence, uint64_t *ret_id, struct err **err);
/* A child that was just started: its start time is looked up. */
int ledger_process(struct ledger *l, const char *name, pid_t pid, uint64_t *ret_id,
                   struct err **err);
/* Crosses an entry out; 0 is nobody's id and ignored. */
int ledger_done(struct ledger *l, uint64_t id, struct err **err);

/* --- Reading --- */

struct ledger_page {
    pid_t pid;
    uint64_t start;
    char boot[64];
    struct ledger_entry *open; /* not crossed out, oldest first */
    size_t n_open;
};

/* -EPROTO: another version, damaged, or no ledger at all; the error says what to do. A last line that
 * was cut short is passed over: what it tells of was not done yet. *ret is to be freed with
 * ledger_page_done(). */
int ledger_read(const char *path, struct ledger_page *ret, struct err **err);
int ledger_parse(const char *name, const char *text, size_t len, struct ledger_page *ret,
                 struct err **err);
void ledger_page_done(struct ledger_page *p);
#define CLEANUP_LEDGER_PAGE __attribute__((cleanup(ledger_page_done)))
/* Whether it was begun since the host was booted last; its processes are void otherwise. */
bool ledger_of_this_boot(const struct ledger_page *p);
/* Whether the process that wrote it still lives. */
bool ledger_owner_lives(const struct ledger_page *p);

/* Start time of a process in clock ticks; 0 when there is none, or only what is left of a dead one. */
uint64_t process_start(pid_t pid);
