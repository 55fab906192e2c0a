/* SPDX-License-Identifier: AGPL-3.0-only */

#include "fleet/wire/resource.h"

#include <string.h>

#include "fleet/wire/bad.h"
#include "fleet/wire/score.h"

#define TESTDATA "fleet/wire/testdata/"

static json_t *read_json(const char *name)
{
    CLEANUP_FREE char *path = xasprintf(TESTDATA "%s.json", name);
    CLEANUP_FREE char *text = check_read(path, NULL);
    json_t *value = json_loads(text, 0, NULL);

    need_true(value != NULL);
    return value;
}

/*
 * Deployments
 */
TEST(a_deployment_as_the_operator_sees_it)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_ERR struct err *err = NULL;
    struct labels here = { 0 }, there = { 0 };
    struct deployment d;

    need_ok(deployment_decode(object, &d, &err), err);
    check_str(d.namespace, "default");
    check_str(d.name, "hello");
    check_str(object_name(object), "hello");
    check_str(d.uid, "7d0a0a39-5a0c-4a5e-9f0a-2f2f3c1a9d11");
    check_str(d.created, "2026-04-21T18:15:42Z");
    check_int(d.generation, 3);
    check_int(d.observed_generation, 2);
    check_true(!d.deleting);
    check_true(d.has_finalizer);
    check_int(json_path_int(d.status, "aggregate.matchedDeviceCount", -1), 1);
    labels_set(&here, "group", "a");
    labels_set(&there, "group", "b");
    check_true(selector_matches(&d.selector, &here));
    check_true(!selector_matches(&d.selector, &there));
    labels_done(&here);
    labels_done(&there);
    deployment_done(&d);
}

TEST(a_score_becomes_the_same_bytes_however_its_members_are_ordered)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_FREE char *golden = check_read(TESTDATA "deployment-desired.json", NULL);
    CLEANUP_ERR struct err *err = NULL;
    struct deployment d;
    struct score score = { 0 };

    golden[strcspn(golden, "\n")] = '\0';
    need_ok(deployment_decode(object, &d, &err), err);
    check_str(d.score, golden);
    /* And the agent understands them. */
    need_ok(score_decode(d.score, strlen(d.score), &score, &err), err);
    check_str(score.services[0].env[0].name, "B");
    score_done(&score);
    deployment_done(&d);
}

TEST(a_new_deployment_has_no_status_and_no_finalizer)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_ERR struct err *err = NULL;
    struct deployment d;

    json_object_del(object, "status");
    json_object_del(json_object_get(object, "metadata"), "finalizers");
    json_object_set_new(object, "unknown", json_array());
    need_ok(deployment_decode(object, &d, &err), err);
    check_true(!d.has_finalizer);
    check_true(d.status == NULL);
    check_int(d.observed_generation, 0);
    deployment_done(&d);
}

TEST(a_broken_deployment_can_still_be_deleted)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_ERR struct err *err = NULL;
    struct labels l = { 0 };
    struct deployment d;

    json_object_set_new(object, "spec", json_string("broken"));
    json_object_set_new(json_object_get(object, "metadata"), "deletionTimestamp",
                        json_string("2026-04-21T18:16:42Z"));
    check_true(deployment_decode(object, &d, &err) < 0);
    check_str(err_text(err), "spec: must be an object, is a string");
    check_str(d.namespace, "default");
    check_str(d.name, "hello");
    check_str(d.uid, "7d0a0a39-5a0c-4a5e-9f0a-2f2f3c1a9d11");
    check_int(d.generation, 3);
    check_true(d.deleting);
    check_true(d.has_finalizer);
    check_true(d.score == NULL);
    check_true(!selector_matches(&d.selector, &l));
    deployment_done(&d);
}

TEST(a_deployment_without_selector_matches_no_device)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_ERR struct err *err = NULL;
    struct labels l = { 0 };
    struct deployment d;

    json_object_del(json_object_get(object, "spec"), "targetSelector");
    need_ok(deployment_decode(object, &d, &err), err);
    check_true(!selector_matches(&d.selector, &l));
    deployment_done(&d);
}

TEST(a_score_that_no_agent_would_accept_for_its_size_is_refused)
{
    CLEANUP_JSON json_t *object = read_json("deployment");
    CLEANUP_FREE char *filler = xcalloc(1, SCORE_MAX + 1);
    CLEANUP_ERR struct err *err = NULL;
    struct deployment d;

    memset(filler, 'x', SCORE_MAX);
    json_object_set_new(json_path(object, "spec.score.data"), "filler", json_string(filler));
    check_true(deployment_decode(object, &d, &err) < 0);
    check_has(err_text(err), "at most 262144 are accepted");
    deployment_done(&d);
}

TEST(score_types_are_identifiers)
{
    static const struct {
        const char *type;
        bool good;
    } rows[] = {
        { "PodmanV0", true },
        { "_x9", true },
        { "a", true },
        { "a234567890123456789012345678901234567890123456789012345678901234", true },
        { "a2345678901234567890123456789012345678901234567890123456789012345", false },
        { "", false },
        { "9a", false },
        { "a b", false },
        { "a-b", false },
        { "a.b", false },
        { "a\n", false },
        { "\xc3\xa4", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_JSON json_t *object = read_json("deployment");
        struct deployment d;

        json_object_set_new(json_path(object, "spec.score"), "type", json_string(rows[i].type));
        check_case("%s", rows[i].type);
        check_true((deployment_decode(object, &d, NULL) == 0) == rows[i].good);
        deployment_done(&d);
    }
}

/* clang-format off: one row, one file */
static const struct bad bad_deployment[] = {
    { "not-object", "metadata: namespace or uid is missing" },
    { "no-uid", "metadata: namespace or uid is missing" },
    { "no-name", "deployment name is empty" },
    { "name-dot",
      "deployment name \"hello.v1\" is refused at byte 6: allowed are letters, digits, \"-\", "
      "\"_\" and \"=\", because it is one part of a NATS key" },
    { "spec-list", "spec: must be an object, is a list" },
    { "no-score", "spec: score: must be an object, is absent" },
    { "score-no-type", "spec: score: \"type\" is missing" },
    { "score-type-space",
      "spec: score: type \"Podman V0\" is not an identifier, such as PodmanV0" },
    { "selector-string", "spec: targetSelector: must be an object, is a string" },
    { "selector-labels-number",
      "spec: targetSelector: matchLabels: label \"rack\": must be a string, is an integer: put "
      "it in quotes" },
    { "selector-expressions-object",
      "spec: targetSelector: matchExpressions: must be a list, is an object" },
    { "selector-expression-string",
      "spec: targetSelector: matchExpressions[0]: must be an object, is a string" },
    { "selector-operator-unknown",
      "spec: targetSelector: matchExpressions[0]: operator \"Equals\" is unknown: known are "
      "In, NotIn, Exists and DoesNotExist" },
    { "selector-no-operator",
      "spec: targetSelector: matchExpressions[0]: \"operator\" is missing" },
    { "selector-no-key", "spec: targetSelector: matchExpressions[0]: \"key\" is missing" },
    { "selector-key-space",
      "spec: targetSelector: matchExpressions[0]: label key \"my group\" is not valid" },
    { "selector-in-without-values",
      "spec: targetSelector: matchExpressions[1]: operator In needs at least one of values" },
    { "selector-exists-with-values",
      "spec: targetSelector: matchExpressions[0]: operator Exists takes no values" },
    { "selector-value-number",
      "spec: targetSelector: matchExpressions[0]: values[0]: must be a string, is an integer: "
      "put it in quotes" },
    { "selector-values-string",
      "spec: targetSelector: matchExpressions[0]: values: must be a list, is a string" },
};
/* clang-format on */

static int decode_deployment(const char *data, size_t len, struct err **err)
{
    CLEANUP_JSON json_t *object = NULL;
    struct deployment d;
    int r;

    need_true(json_parse(data, len, len, &object, NULL) == 0);
    r = deployment_decode(object, &d, err);
    deployment_done(&d);
    return r;
}

TEST(bad_deployments_are_refused_with_a_reason)
{
    check_bad("deployment", bad_deployment, ARRAY_LEN(bad_deployment), decode_deployment);
}

/*
 * Definitions. That an API server takes them, and refuses what they forbid, is tested where they
 * are deployed.
 */
static void check_paths(const json_t *crd, const char *const (*rows)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_case("%s", rows[i][0]);
        check_str(json_path_str(crd, rows[i][0]), rows[i][1]);
    }
}

#define SCHEMA "spec.versions.0.schema.openAPIV3Schema."
#define COLUMNS "spec.versions.0.additionalPrinterColumns."

TEST(the_definition_of_deployments)
{
    static const char *const rows[][2] = {
        { "apiVersion", "apiextensions.k8s.io/v1" },
        { "kind", "CustomResourceDefinition" },
        { "metadata.name", "deployments.fleet.nationtech.io" },
        { "spec.group", "fleet.nationtech.io" },
        { "spec.scope", "Namespaced" },
        { "spec.names.kind", "Deployment" },
        { "spec.names.shortNames.0", "fleetdep" },
        { "spec.versions.0.name", "v1alpha1" },
        { SCHEMA "x-kubernetes-validations.0.rule", "!self.metadata.name.contains('.')" },
        { SCHEMA "properties.spec.required.1", "score" },
        { COLUMNS "0.name", "Matched" },
        { COLUMNS "4.name", "Age" },
    };
    CLEANUP_JSON json_t *crd = crd_deployments();

    need_true(crd != NULL);
    check_paths(crd, rows, ARRAY_LEN(rows));
    check_true(json_is_object(json_path(crd, "spec.versions.0.subresources.status")));
    check_true(
            json_is_true(json_path(crd, SCHEMA "properties.spec.properties.score.properties.data."
                                               "x-kubernetes-preserve-unknown-fields")));
}

TEST(the_definition_of_devices)
{
    static const char *const rows[][2] = {
        { "metadata.name", "devices.fleet.nationtech.io" },
        { "spec.scope", "Cluster" },
        { "spec.names.kind", "Device" },
        { "spec.names.shortNames.0", "fleetdev" },
        { SCHEMA "properties.spec.properties.inventory.properties.cpuCores.type", "integer" },
        { COLUMNS "0.name", "Reachable" },
        { COLUMNS "2.name", "Age" },
    };
    CLEANUP_JSON json_t *crd = crd_devices();

    need_true(crd != NULL);
    check_paths(crd, rows, ARRAY_LEN(rows));
    check_true(json_is_object(json_path(crd, "spec.versions.0.subresources.status")));
}

/* json_path() does not reach keys with dots. */
TEST(uninstalling_keeps_both_definitions)
{
    json_t *crds[] = { crd_deployments(), crd_devices() };

    for (size_t i = 0; i < ARRAY_LEN(crds); i++) {
        const json_t *annotations = json_path(crds[i], "metadata.annotations");

        check_str(json_string_value(json_object_get(annotations, "helm.sh/resource-policy")),
                  "keep");
        json_decref(crds[i]);
    }
}

/* The inventory of a golden DeviceInfo has no member that the schema would prune. */
TEST(the_schema_of_devices_knows_every_member_of_the_inventory)
{
    CLEANUP_JSON json_t *crd = crd_devices(), *info = read_json("device-info");
    const json_t *known = json_path(crd, SCHEMA "properties.spec.properties.inventory.properties");
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach(json_object_get(info, "inventory"), key, value)
    {
        check_case("%s", key);
        check_true(json_object_get(known, key) != NULL);
    }
}

CHECK_MAIN()
