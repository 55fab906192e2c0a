/* SPDX-License-Identifier: AGPL-3.0-only */

/*
 * The definitions of the custom resources, put together from typed pieces of OpenAPI schema. What
 * can be refused when it is applied is refused there: the person who wrote it is still looking.
 *
 * Every list and string that a CEL rule walks has a cap, without which the API server must assume
 * the worst and refuses the rule as too costly.
 */

#include "fleet/wire/labels.h"
#include "fleet/wire/names.h"
#include "fleet/wire/resource.h"

#define LABEL_KEY_MAX 317 /* bytes: 253 of prefix, a slash, 63 of name */
#define LABEL_VALUE_MAX 63
#define EXPRESSIONS_MAX 64 /* of each kind of requirement */
#define VALUES_MAX 256     /* of a requirement */

/*
 * Pieces of schema. Each takes over the JSON that it is given.
 */
static json_t *typed(const char *type, const char *description)
{
    return json_pack("{s:s, s:s}", "type", type, "description", description);
}

static json_t *with(json_t *schema, const char *key, json_t *value)
{
    json_object_set_new(schema, key, value);
    return schema;
}

static json_t *text(const char *description)
{
    return typed("string", description);
}

static json_t *text_up_to(int max, const char *description)
{
    return with(text(description), "maxLength", json_integer(max));
}

static json_t *moment(const char *description)
{
    return with(text(description), "format", json_string("date-time"));
}

static json_t *count(const char *description)
{
    return with(with(typed("integer", description), "format", json_string("int64")), "minimum",
                json_integer(0));
}

static json_t *object(const char *description, json_t *properties)
{
    return with(typed("object", description), "properties", properties);
}

static json_t *list(const char *description, json_t *items)
{
    return with(typed("array", description), "items", items);
}

/* A CEL rule, and what a person reads when it does not hold. */
static json_t *ruled(json_t *schema, const char *rule, const char *message)
{
    return with(schema, "x-kubernetes-validations",
                json_pack("[{s:s, s:s}]", "rule", rule, "message", message));
}

static json_t *root(const char *description, json_t *spec, json_t *status)
{
    json_t *properties = json_pack("{s:{s:s}, s:{s:s}, s:{s:s}, s:o, s:o}", "apiVersion", "type",
                                   "string", "kind", "type", "string", "metadata", "type", "object",
                                   "spec", spec, "status", status);

    return object(description, properties);
}

static json_t *conditions(void)
{
    json_t *status = with(text("Whether it holds."), "enum",
                          json_pack("[s, s, s]", "True", "False", "Unknown"));
    json_t *condition =
            object("One aspect of the object's state.",
                   json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "type", text("What this is about."),
                             "status", status, "reason", text("Why, as one word."), "message",
                             text("Why, for people."), "lastTransitionTime",
                             moment("When status changed last."), "observedGeneration",
                             count("The generation of the object that this was said of.")));

    with(condition, "required", json_pack("[s, s]", "type", "status"));
    return with(with(list("What can be said of the object, by type.", condition),
                     "x-kubernetes-list-type", json_string("map")),
                "x-kubernetes-list-map-keys", json_pack("[s]", "type"));
}

/*
 * Deployment
 */

/* The syntax of Kubernetes' own labels: a selector that breaks it could match nothing. */
#define LABEL_WORD "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
#define LABEL_VALUE "^(" LABEL_WORD ")?$"
#define LABEL_KEY "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?" LABEL_WORD "$"

static json_t *label_value(void)
{
    return json_pack("{s:s, s:i, s:s}", "type", "string", "maxLength", LABEL_VALUE_MAX, "pattern",
                     LABEL_VALUE);
}

static json_t *match_labels(void)
{
    json_t *labels = with(typed("object", "Labels that a device must have, with these values."),
                          "additionalProperties", label_value());

    with(labels, "maxProperties", json_integer(EXPRESSIONS_MAX));
    return ruled(labels, "self.all(key, key.matches('" LABEL_KEY "'))",
                 "a label key is NAME or DOMAIN/NAME, NAME of at most 63 letters, digits, \"-\", "
                 "\"_\", \".\" with a letter or digit at both ends");
}

static json_t *match_expressions(void)
{
    json_t *operators = json_pack("[s, s, s, s]", "In", "NotIn", "Exists", "DoesNotExist");
    json_t *values = list("What In and NotIn compare with.", label_value());
    json_t *key =
            with(text_up_to(LABEL_KEY_MAX, "The label's key."), "pattern", json_string(LABEL_KEY));
    json_t *expression = NULL;

    with(values, "x-kubernetes-list-type", json_string("atomic"));
    with(values, "maxItems", json_integer(VALUES_MAX));
    expression = object("A condition on one label.",
                        json_pack("{s:o, s:o, s:o}", "key", key, "operator",
                                  with(text("How it is compared."), "enum", operators), "values",
                                  values));
    with(expression, "required", json_pack("[s, s]", "key", "operator"));
    ruled(expression,
          "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
          "In and NotIn need values, Exists and DoesNotExist take none");
    return with(with(list("Conditions that a device's labels must all meet.", expression),
                     "x-kubernetes-list-type", json_string("atomic")),
                "maxItems", json_integer(EXPRESSIONS_MAX));
}

static json_t *target_selector(void)
{
    json_t *selector =
            object("Which devices run it, by their labels. An empty one is every device.",
                   json_pack("{s:o, s:o}", "matchLabels", match_labels(), "matchExpressions",
                             match_expressions()));

    return with(selector, "x-kubernetes-map-type", json_string("atomic"));
}

static json_t *score(void)
{
    json_t *type = ruled(with(text_up_to(SCORE_TYPE_MAX, "Which kind of score, such as PodmanV0."),
                              "minLength", json_integer(1)),
                         "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
                         "score.type must be an identifier, such as PodmanV0");
    json_t *data = with(typed("object", "What the agent makes of it, by type."),
                        "x-kubernetes-preserve-unknown-fields", json_true());
    json_t *schema = object("What runs on each of these devices.",
                            json_pack("{s:o, s:o}", "type", type, "data", data));

    return with(schema, "required", json_pack("[s, s]", "type", "data"));
}

static json_t *rollout(void)
{
    json_t *strategy = text("AllAtOnce, the default: every matching device at the same time.");

    with(strategy, "enum", json_pack("[s]", "AllAtOnce"));
    with(strategy, "default", json_string("AllAtOnce"));
    return object("How a change reaches the devices.", json_pack("{s:o}", "strategy", strategy));
}

static json_t *deployment_spec(void)
{
    json_t *spec = object("What shall run where.",
                          json_pack("{s:o, s:o, s:o}", "targetSelector", target_selector(), "score",
                                    score(), "rollout", rollout()));

    return with(spec, "required", json_pack("[s, s]", "targetSelector", "score"));
}

static json_t *aggregate(void)
{
    json_t *last = object("The newest failure.",
                          json_pack("{s:o, s:o, s:o}", "deviceId", text("Where."), "message",
                                    text("What the device said."), "at", moment("When.")));

    return object("What the matching devices report, added up.",
                  json_pack("{s:o, s:o, s:o, s:o, s:o}", "matchedDeviceCount",
                            count("Devices that the selector matches."), "succeeded",
                            count("Of these, those that run it."), "failed",
                            count("Of these, those that say they cannot."), "pending",
                            count("Of these, the rest."), "lastError", last));
}

static json_t *deployment_status(void)
{
    return object("What came of it.",
                  json_pack("{s:o, s:o, s:o}", "observedGeneration",
                            count("The generation of spec that this is about."), "aggregate",
                            aggregate(), "conditions", conditions()));
}

static json_t *deployment_schema(void)
{
    return ruled(
            root("A workload and the devices that run it.", deployment_spec(), deployment_status()),
            "!self.metadata.name.contains('.')",
            "the name of a Deployment must not contain a dot: it becomes one part of a NATS "
            "key; use a dash");
}

/*
 * Device
 */
static json_t *device_spec(void)
{
    json_t *inventory = object(
            "What the agent found.",
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "hostname", text("Its host name."),
                      "arch", text("Machine architecture, as uname -m says."), "os",
                      text("The operating system's name and version."), "kernel",
                      text("Kernel release."), "cpuCores", count("Processors."), "memoryMb",
                      count("Memory, MiB."), "agentVersion", text("The agent that reports.")));

    return object("What the device says of itself.", json_pack("{s:o}", "inventory", inventory));
}

static json_t *upgrade(void)
{
    return object("The agent's upgrade that is under way or was the last.",
                  json_pack("{s:o, s:o, s:o, s:o}", "phase",
                            text("How far it is, such as Staging, Verifying, CutoverReady."),
                            "targetVersion", text("The version it leads to."), "message",
                            text("Why it stopped or went back."), "at",
                            moment("When phase changed last.")));
}

static json_t *device_status(void)
{
    return object("What the operator knows of the device.",
                  json_pack("{s:o, s:o, s:o}", "conditions", conditions(), "currentVersion",
                            text("The agent version of the newest heartbeat."), "upgrade",
                            upgrade()));
}

/*
 * Definitions
 */

/* `priority` 1 shows with -o wide only. */
static json_t *column(const char *name, const char *type, const char *path, int priority)
{
    return json_pack("{s:s, s:s, s:s, s:i}", "name", name, "type", type, "jsonPath", path,
                     "priority", priority);
}

static json_t *deployment_columns(void)
{
    return json_pack("[o, o, o, o, o, o]",
                     column("Matched", "integer", ".status.aggregate.matchedDeviceCount", 0),
                     column("Succeeded", "integer", ".status.aggregate.succeeded", 0),
                     column("Failed", "integer", ".status.aggregate.failed", 0),
                     column("Pending", "integer", ".status.aggregate.pending", 0),
                     column("Age", "date", ".metadata.creationTimestamp", 0),
                     column("Last error", "string", ".status.aggregate.lastError.message", 1));
}

static json_t *device_columns(void)
{
    return json_pack(
            "[o, o, o, o, o, o]",
            column("Reachable", "string", ".status.conditions[?(@.type==\"Reachable\")].status", 0),
            column("Version", "string", ".status.currentVersion", 0),
            column("Age", "date", ".metadata.creationTimestamp", 0),
            column("Arch", "string", ".spec.inventory.arch", 1),
            column("OS", "string", ".spec.inventory.os", 1),
            column("Kernel", "string", ".spec.inventory.kernel", 1));
}

struct names {
    const char *crd, *scope, *kind, *list, *plural, *singular, *abbreviation;
};

static json_t *definition(const struct names *n, json_t *schema, json_t *columns)
{
    json_t *names = json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[s]}", "kind", n->kind, "listKind",
                              n->list, "plural", n->plural, "singular", n->singular, "shortNames",
                              n->abbreviation, "categories", "fleet");
    json_t *version = json_pack("{s:s, s:b, s:b, s:{s:o}, s:{s:{}}, s:o}", "name", FLEET_VERSION,
                                "served", 1, "storage", 1, "schema", "openAPIV3Schema", schema,
                                "subresources", "status", "additionalPrinterColumns", columns);
    /* Uninstalling the operator must not cascade into deleting every container in the field. */
    json_t *metadata = json_pack("{s:s, s:{s:s}}", "name", n->crd, "annotations",
                                 "helm.sh/resource-policy", "keep");

    return json_pack("{s:s, s:s, s:o, s:{s:s, s:s, s:o, s:[o]}}", "apiVersion",
                     "apiextensions.k8s.io/v1", "kind", "CustomResourceDefinition", "metadata",
                     metadata, "spec", "group", FLEET_GROUP, "scope", n->scope, "names", names,
                     "versions", version);
}

json_t *crd_deployments(void)
{
    static const struct names names = {
        .crd = CRD_DEPLOYMENTS,
        .scope = "Namespaced",
        .kind = "Deployment",
        .list = "DeploymentList",
        .plural = "deployments",
        .singular = "deployment",
        .abbreviation = "fleetdep",
    };
    json_t *schema = with(deployment_schema(), "required", json_pack("[s]", "spec"));

    return definition(&names, schema, deployment_columns());
}

json_t *crd_devices(void)
{
    static const struct names names = {
        .crd = CRD_DEVICES,
        .scope = "Cluster",
        .kind = "Device",
        .list = "DeviceList",
        .plural = "devices",
        .singular = "device",
        .abbreviation = "fleetdev",
    };

    return definition(&names, root("A device of the fleet.", device_spec(), device_status()),
                      device_columns());
}
