/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * One table of subcommands and options per program. It dispatches, prints help, yields shell
 * completion and the COMMANDS section of the man page, so they cannot disagree.
 *
 * Options are long (`--name VALUE`, `--name=VALUE`) with an optional short letter. `--help`,
 * `--version` and the hidden `--completion bash|zsh` and `--man` are understood everywhere.
 * A command that hands its words to another program (`passes_on`) reads options up to its first
 * argument; where it needs none, an option that it does not have is that first argument.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct verbs_option {
    const char *name;    /* "report-dir", without dashes */
    char letter;         /* 'r', or 0 */
    const char *value;   /* "DIR" when it takes one, else NULL */
    const char *help;    /* one line, no full stop; NULL: for the program itself, shown nowhere */
    const char *choices; /* "x86_64|aarch64" when closed, for the check and for completion */
};

struct verbs_args {
    const char *command; /* the subcommand's name */
    char **positional;   /* borrowed from argv, NULL-terminated */
    size_t n_positional;
    const struct verbs_option *options;
    const char *values[32]; /* by option index; "" for a flag that was given, NULL when absent */
    const struct verbs_given {
        const struct verbs_option *option;
        const char *value;
    } *given; /* own options as they were given, in order; one may be given again */
    size_t n_given;
};

/* The value of option `name`; NULL when absent. Aborts on a name that is not in the table. */
const char *verbs_value(const struct verbs_args *args, const char *name);
bool verbs_flag(const struct verbs_args *args, const char *name);
/* All values of an option that may be given again, in order. The caller frees it; NULL when there
 * are none. */
char **verbs_values(const struct verbs_args *args, const char *name);

struct verbs_command {
    const char *name;                   /* "run"; "" for a program without subcommands */
    const char *arguments;              /* "FILE..." for the usage line, "" for none */
    int min, max;                       /* number of positional arguments; max -1: any */
    const char *help;                   /* one line; NULL: for shells, shown nowhere */
    const char *details;                /* paragraphs for --help and the man page; NULL for none */
    const struct verbs_option *options; /* ends with an entry whose name is NULL; NULL for none */
    bool passes_on;                     /* what follows the first argument is another program's */
    /* What positional arguments are: "none", "file", "file:*.yml", "dir", "words:a|b" (and no
     * others), or
     * "command:NAME": `PROGRAM NAME COMMAND WORD...` prints what may follow these words, a line each. */
    const char *complete;
    int (*run)(const struct verbs_args *args, void *userdata); /* returns the exit code */
};

struct verbs_program {
    const char *name; /* "rig" */
    const char *version;
    const char *summary;                  /* one line */
    const char *exit_codes;               /* text of the EXIT STATUS section, or NULL */
    const struct verbs_command *commands; /* ends with an entry whose name is NULL */
};

/* Parses, dispatches, and returns the exit code; usage mistakes print what is wrong with a "did you
 * mean" to stderr and return 2. */
int verbs_main(const struct verbs_program *program, int argc, char **argv, void *userdata);

/* Prints completion for "bash" or "zsh", or the page for "man". False when stdout is broken. */
bool verbs_print(const struct verbs_program *program, const char *what);
