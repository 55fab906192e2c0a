/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Inside rig/scenario: what reading a file shares. A reader collects mistakes; reading goes on
 * after each, so that one look shows all of them.
 */

#include "base/yaml.h"
#include "rig/scenario/scenario.h"

struct mistake {
    unsigned line, column;           /* in the scenario */
    const char *file;                /* the manifest that it is in, or NULL; owned by the reader */
    unsigned file_line, file_column; /* in the manifest */
    char *text;
};

struct reader {
    const char *path;
    bool running; /* a sentence for a running fleet: no file, FILE anywhere, any DEPLOYMENT */
    const struct verb *verbs;
    size_t n_verbs;
    struct scenario *s;
    struct mistake *mistakes;
    size_t n_mistakes, cap_mistakes;
    /* While a manifest is read: where the scenario names it. */
    const struct yaml_node *named_at;
    const char *file;
    char **files; /* strv: manifests that were read, well or badly */
};

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
bool reader_keys(struct reader *r, const struct yaml_node *map, const char *what,
                 const char *const *known);
const struct yaml_node *reader_need(struct reader *r, const struct yaml_node *map, const char *what,
                                    const char *key);
/* The text of a scalar that is not empty; NULL without a mistake when `node` is NULL. */
const char *reader_text(struct reader *r, const struct yaml_node *node, const char *what);
bool reader_is(struct reader *r, const struct yaml_node *node, enum yaml_kind kind,
               const char *what);

/* Reads the manifest that `at` names into the scenario, unless it was read before. */
void manifest_read(struct reader *r, const struct yaml_node *at, const char *path);
/* The list of sentences at `node` (or a single one), appended to `*list`. */
void sentences_read(struct reader *r, const struct yaml_node *node, enum verb_kind kind,
                    struct sentence **list, size_t *n);
void steps_read(struct reader *r, const struct yaml_node *node);
/* The step that stands for `deploy: [FILE]`. */
void deploy_read(struct reader *r, const struct yaml_node *node);
/* A step without sentences, appended to the scenario. */
struct step *step_new(struct scenario *s, const char *name, unsigned line);
void sentence_add(struct reader *r, const struct yaml_node *node, unsigned kinds, const char *text,
                  struct sentence **list, size_t *n);
/* References of sentences to devices and deployments, once all are known. */
void references_check(struct reader *r);
