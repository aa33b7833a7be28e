"""admissionregistration.k8s.io: webhooks, policies, and the expressions in them."""

import pytest

CLIENT = {"service": {"name": "s", "namespace": "n"}}
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK = {"name": "a.b.c", "clientConfig": CLIENT, "rules": [RULE], "sideEffects": "None", "admissionReviewVersions": ["v1"]}


def _of(kind, **fields):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "a"}, **fields}


NAMED = {
    "validating": _of("ValidatingWebhookConfiguration", webhooks=[HOOK]),
    "mutating": _of("MutatingWebhookConfiguration", webhooks=[HOOK]),
    "policy": _of(
        "ValidatingAdmissionPolicy",
        spec={
            "matchConstraints": {"resourceRules": [RULE]},
            "validations": [{"expression": "object.spec.replicas <= 5"}],
            "variables": [{"name": "big", "expression": "object.spec.replicas > 3"}],
        },
    ),
    "binding": _of("ValidatingAdmissionPolicyBinding", spec={"policyName": "a", "validationActions": ["Deny"]}),
}
WRONG = [
    ("validating", "webhooks/0/name", "", "Required webhooks[0].name"),
    ("validating", "webhooks/0/name", "a.b", "Invalid webhooks[0].name"),
    ("validating", "webhooks/1", HOOK, "Duplicate webhooks[1].name"),
    ("validating", "webhooks/0/sideEffects", None, "Required webhooks[0].sideEffects"),
    ("validating", "webhooks/0/sideEffects", "Some", "NotSupported webhooks[0].sideEffects"),
    ("validating", "webhooks/0/failurePolicy", "Retry", "NotSupported webhooks[0].failurePolicy"),
    ("validating", "webhooks/0/matchPolicy", "Near", "NotSupported webhooks[0].matchPolicy"),
    ("validating", "webhooks/0/timeoutSeconds", 60, "Invalid webhooks[0].timeoutSeconds"),
    ("validating", "webhooks/0/admissionReviewVersions", [], "Required webhooks[0].admissionReviewVersions"),
    ("validating", "webhooks/0/admissionReviewVersions", ["v0"], "Invalid webhooks[0].admissionReviewVersions"),
    ("validating", "webhooks/0/clientConfig", {}, "Required webhooks[0].clientConfig"),
    ("validating", "webhooks/0/clientConfig", {"url": "http://a"}, "Invalid webhooks[0].clientConfig.url"),
    ("validating", "webhooks/0/clientConfig/service/name", "", "Required webhooks[0].clientConfig.service.name"),
    ("validating", "webhooks/0/rules/0/operations", [], "Required webhooks[0].rules[0].operations"),
    ("validating", "webhooks/0/rules/0/operations", ["READ"], "NotSupported webhooks[0].rules[0].operations[0]"),
    ("validating", "webhooks/0/rules/0/resources", ["*", "pods"], "Invalid webhooks[0].rules[0].resources"),
    ("validating", "webhooks/0/rules/0/scope", "All", "NotSupported webhooks[0].rules[0].scope"),
    (
        "validating",
        "webhooks/0/matchConditions",
        [{"name": "a", "expression": "true &&"}],
        "Invalid webhooks[0].matchConditions[0].expression",
    ),
    ("mutating", "webhooks/0/reinvocationPolicy", "Often", "NotSupported webhooks[0].reinvocationPolicy"),
    ("policy", "spec/validations/0/expression", "", "Required spec.validations[0].expression"),
    ("policy", "spec/validations/0/expression", "object.", "Invalid spec.validations[0].expression"),
    ("policy", "spec/validations/0/expression", "nothing.here", "Invalid spec.validations[0].expression"),
    ("policy", "spec/validations/0/reason", "Because", "NotSupported spec.validations[0].reason"),
    ("policy", "spec/failurePolicy", "Retry", "NotSupported spec.failurePolicy"),
    ("policy", "spec/variables/0/name", "a-b", "Invalid spec.variables[0].name"),
    ("policy", "spec/matchConstraints", None, "Required spec.matchConstraints"),
    ("policy", "spec/paramKind", {"kind": "", "apiVersion": "v1"}, "Required spec.paramKind.kind"),
    ("policy", "spec/auditAnnotations", [{"key": "", "valueExpression": "'a'"}], "Invalid spec.auditAnnotations[0].key"),
    ("binding", "spec/policyName", "", "Required spec.policyName"),
    ("binding", "spec/validationActions", [], "Required spec.validationActions"),
    ("binding", "spec/validationActions", ["Stop"], "NotSupported spec.validationActions[0]"),
    ("binding", "spec/validationActions", ["Deny", "Warn"], "Invalid spec.validationActions"),
]


@pytest.mark.parametrize("name", NAMED)
def test_the_manifests_are_right(create, name):
    assert create(NAMED[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, name, path, value, causes):
    assert "; ".join(create(NAMED[name], path, value)) == causes


def test_defaults(defaulted):
    hook = defaulted(NAMED["mutating"]).webhooks[0]
    assert (hook.failurePolicy, hook.matchPolicy, hook.timeoutSeconds, hook.reinvocationPolicy) == ("Fail", "Equivalent", 10, "Never")
    assert (hook.clientConfig.service.port, hook.rules[0].scope) == (443, "*")
    assert defaulted(NAMED["policy"]).spec.failurePolicy == "Fail"
