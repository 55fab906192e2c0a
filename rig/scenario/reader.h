/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Inside rig/scenario: what reading a file shares. A reader collects mistakes; reading goes on
 * after each, so that one look shows all of them.
 */

#include "base/yaml.h"
#include "rig/scenario/format.h"
#include "rig/scenario/scenario.h"
#include "rig/scenario/variables.h"

struct mistake {
    unsigned line, column;           /* in the scenario */
    char *file;                      /* the manifest that it is in, or NULL */
    unsigned file_line, file_column; /* in the manifest */
    size_t variant;                  /* that was read then, from 1; 0: all */
    char *text;
};

struct reader {
    const char *path;
    bool running; /* a sentence for a running fleet: no file, FILE anywhere, any DEPLOYMENT */
    const struct verb *verbs;
    size_t n_verbs;
    struct scenario *s; /* the variant that is read */
    size_t variant;
    char **choices;            /* strv: "arch=x86_64,count=4" of each variant so far */
    struct scenarios done;     /* those before it */
    struct expanded *expanded; /* texts of this variant with their variables' values */
    struct mistake *mistakes;
    size_t n_mistakes, cap_mistakes;
    /* While a manifest is read: where the scenario names it. */
    const struct yaml_node *named_at;
    const char *file;
    char **files; /* strv: manifests that were read, well or badly */
};

/* Turns to a variant of the file, the first one or another; it takes over `variables`. */
void reader_begin(struct reader *r, char **variables, const char *choice);
void reader_done(struct reader *r);

/* A mistake at `line` and `column`: of the manifest while one is read, else of the scenario. */
void reader_mistake_at(struct reader *r, unsigned line, unsigned column, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
#define reader_mistake(r, node, ...) reader_mistake_at(r, (node)->line, (node)->column, __VA_ARGS__)
/* A syntax error of yaml_parse(), "NAME:3:7: text", as a mistake at its place. */
void reader_syntax_mistake(struct reader *r, const char *name, const char *text);
/* Appends the mistakes in order and returns how many there are. */
size_t reader_report(struct reader *r, struct buf *out);

/* Helpers that report what they miss. All return NULL (or false) after a mistake. */
/* Whether it is a map at all; unknown keys and missing ones are mistakes. */
bool reader_keys(struct reader *r, const struct yaml_node *map, const char *what,
                 const struct format_key *keys);
const struct yaml_node *reader_need(struct reader *r, const struct yaml_node *map, const char *what,
                                    const char *key);
/* The text of a scalar that is not empty, with the values of its variables; NULL without a mistake
 * when `node` is NULL. It lives as long as the variant is read. */
const char *reader_text(struct reader *r, const struct yaml_node *node, const char *what);
/* The same of a scalar that may be empty. */
const char *reader_expand(struct reader *r, const struct yaml_node *node);
bool reader_is(struct reader *r, const struct yaml_node *node, enum yaml_kind kind,
               const char *what);

/* Reads the manifest that `at` names into the scenario, unless it was read before. */
void manifest_read(struct reader *r, const struct yaml_node *at, const char *path);
/* The list of sentences at `node` (or a single one), appended to `*list`. */
void sentences_read(struct reader *r, const struct yaml_node *node, enum verb_kind kind,
                    struct sentence **list, size_t *n);
void steps_read(struct reader *r, const struct yaml_node *node, struct step **list, size_t *n);
/* The step that stands for `deploy: [FILE]`. */
void deploy_read(struct reader *r, const struct yaml_node *node);
void topology_read(struct reader *r, const struct yaml_node *node);
/* A step without sentences, appended to the list. */
struct step *step_new(struct step **list, size_t *n, const char *name, unsigned line);
void sentence_add(struct reader *r, const struct yaml_node *node, unsigned kinds, const char *text,
                  struct sentence **list, size_t *n);
/* References of sentences to devices, whose globs it replaces, and to deployments, once all are
 * known. */
void references_check(struct reader *r);
