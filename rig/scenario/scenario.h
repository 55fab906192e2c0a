/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * A scenario file (docs: scenarios/README.md). Reading collects every mistake with its line and
 * column: unknown keys (with a "did you mean"), bad names, duplicate devices, sentences that match
 * no verb, references to devices and deployments that the file does not have, an `expect` without
 * exactly one of `within` and `holds`, unknown variables, limits. Pure but for reading the manifests
 * that `deploy` and `do` name; they stand in the scenario's folder or below it.
 *
 * A file with a matrix is several scenarios, its variants, that differ in the values of variables.
 */

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "rig/scenario/sentence.h"

#define SCENARIO_MAX (256 * 1024) /* bytes of a scenario, and of a manifest */
#define SCENARIO_MAX_DEVICES 64
#define SCENARIO_MAX_STEPS 500
#define SCENARIO_MAX_VARIANTS 64
#define SCENARIO_MAX_MS (24 * 3600 * INT64_C(1000)) /* of `within` and `holds` */
#define SCENARIO_MAX_MISTAKES 100

struct device_decl {
    char *name;
    char **labels; /* strv "key=value" */
    char *arch;    /* NULL: the run's */
    unsigned line, column;
};

/* One document of a manifest file; those of one file stand together. */
struct manifest {
    char *path;       /* as the scenario names it, relative to its folder */
    char *deployment; /* metadata.name when it is a Deployment of our group, else NULL */
    json_t *object;
};

struct step {
    char *name;
    struct sentence *actions; /* `do` and `fault` in file order; verb->kind tells which */
    size_t n_actions;
    struct sentence *expects;
    size_t n_expects;
    int64_t within_ms; /* deadline for all expects together; 0 when `holds` */
    int64_t holds_ms;  /* all must hold now and for so long; 0 when `within` */
    unsigned line;
};

struct scenario {
    char *path;
    char *name; /* of a variant of a matrix "hello[arch=x86_64,count=4]" */
    char *slug; /* the name as a file name: letters, digits, '-', '_', '.' and '=' */
    char *story;
    char **tags;
    char **needs;     /* strv, of scenario_needs: what this host must have for it */
    char *arch;       /* chosen by a matrix, for devices that name none; NULL: the run's */
    char **variables; /* strv "name=value": vars and what a matrix chose */
    struct device_decl *devices;
    size_t n_devices;
    struct manifest *manifests; /* every one that the file names */
    size_t n_manifests;
    struct sentence *always;
    size_t n_always;
    struct step
            *steps; /* `deploy: [FILE]` is a first step, named "deploy", that does "apply FILE" */
    size_t n_steps;
    struct step *finally; /* at the end whatever happened, before faults are undone */
    size_t n_finally;
};

/* What `needs` can name, NULL-terminated. */
extern const char *const scenario_needs[];

struct scenarios {
    struct scenario **items; /* owned */
    size_t n;
};

/* Reads and checks `path`, and appends what it holds to `list`: one scenario, or each variant of a
 * matrix. `overrides` (strv "name=value", may be NULL) gives variables another value, and a list of
 * the matrix only this one. Mistakes are appended to `mistakes` as "PATH:LINE:COLUMN: text" lines,
 * ordered by place (those in a manifest where the scenario first names it), at most
 * SCENARIO_MAX_MISTAKES, each once for all variants; `list` is left alone then, and the result is
 * -EINVAL with `err` saying how many. A file that cannot be read at all is an error without
 * mistakes. */
int scenario_load(const char *path, char *const *overrides, const struct verb *verbs,
                  size_t n_verbs, struct scenarios *list, struct buf *mistakes, struct err **err);
/* The same from memory; manifests are looked up beside `path`. */
int scenario_parse(const char *path, const char *text, size_t len, char *const *overrides,
                   const struct verb *verbs, size_t n_verbs, struct scenarios *list,
                   struct buf *mistakes, struct err **err);
/* Appends and takes over `s`. */
void scenarios_add(struct scenarios *list, struct scenario *s);
void scenarios_done(struct scenarios *list);
#define CLEANUP_SCENARIOS __attribute__((cleanup(scenarios_done)))

void scenario_free(struct scenario *s);
DEFINE_CLEANUP(struct scenario *, scenario_free)

/* One sentence for a fleet that runs, as `rig do` and `rig expect` take it. */
struct scenario_request {
    const char *text;
    unsigned kinds;    /* VERB_DO | VERB_FAULT, or VERB_EXPECT */
    int64_t within_ms; /* of an expect: one of them is 0 */
    int64_t holds_ms;
    const char *folder;   /* that FILE is relative to; it may stand anywhere */
    char *const *devices; /* strv: the fleet's */
};

/* A scenario of one step, whose name is the sentence. It is checked as in a file, but for DEPLOYMENT,
 * which the fleet may have from earlier: any valid name will do, and scenario_deployment() may be
 * NULL for it. Mistakes are lines as of scenario_load(), without a place unless they are in a
 * manifest. */
int scenario_sentence(const struct scenario_request *request, const struct verb *verbs,
                      size_t n_verbs, struct scenario **ret, struct buf *mistakes,
                      struct err **err);

/* The last named manifest of deployment `name`; NULL when there is none. For its namespace. */
const struct manifest *scenario_deployment(const struct scenario *s, const char *name);
