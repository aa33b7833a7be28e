"""Kinds of the cluster itself: configuration, limits, nodes, roles, leases, priorities, events, requests for certificates."""

import pytest

META = {"name": "a", "namespace": "default"}
GROUP = "rbac.authorization.k8s.io"
TIMES = {"firstTimestamp": "2026-01-01T00:00:00Z"}


def _of(version, kind, space=True, **fields):
    return {"apiVersion": version, "kind": kind, "metadata": META if space else {"name": "a"}, **fields}


NAMED = {
    "configmap": _of("v1", "ConfigMap", data={"a": "b"}),
    "fixed configmap": _of("v1", "ConfigMap", data={"a": "b"}, immutable=True),
    "secret": _of("v1", "Secret", data={"a": "Yg=="}),
    "tls secret": _of("v1", "Secret", type="kubernetes.io/tls", data={"tls.crt": "", "tls.key": ""}),
    "limits": _of("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}),
    "quota": _of("v1", "ResourceQuota", spec={"hard": {"pods": "2"}}),
    "node": _of("v1", "Node", space=False, spec={"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "providerID": "x"}),
    "account": _of("v1", "ServiceAccount"),
    "role": _of(f"{GROUP}/v1", "Role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    "cluster role": _of(f"{GROUP}/v1", "ClusterRole", space=False, rules=[{"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]),
    "binding": _of(
        f"{GROUP}/v1",
        "RoleBinding",
        roleRef={"apiGroup": GROUP, "kind": "Role", "name": "a"},
        subjects=[{"kind": "ServiceAccount", "name": "a", "namespace": "default"}, {"kind": "User", "name": "u"}],
    ),
    "cluster binding": _of(
        f"{GROUP}/v1", "ClusterRoleBinding", space=False, roleRef={"apiGroup": GROUP, "kind": "ClusterRole", "name": "a"}
    ),
    "lease": _of("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 5}),
    "priority": _of("scheduling.k8s.io/v1", "PriorityClass", space=False, value=1),
    "runtime": _of("node.k8s.io/v1", "RuntimeClass", space=False, handler="runc"),
    "event": _of("v1", "Event", involvedObject={"namespace": "default"}, **TIMES),
    "service": _of(
        "apiregistration.k8s.io/v1",
        "APIService",
        space=False,
        spec={"group": "b", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"name": "s", "namespace": "n"}},
    )
    | {"metadata": {"name": "v1.b"}},
    "flow": _of(
        "flowcontrol.apiserver.k8s.io/v1",
        "FlowSchema",
        space=False,
        spec={
            "priorityLevelConfiguration": {"name": "p"},
            "matchingPrecedence": 5,
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "u"}}],
                    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
                }
            ],
        },
    ),
    "level": _of(
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        space=False,
        spec={"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
    ),
}
LIMIT = "spec.limits[0]"
RULES, SUBJECT = "spec.rules[0]", "spec/rules/0/subjects/0"
WRONG = [
    ("configmap", "data", {"a b": "c"}, "Invalid data[a b]"),
    ("configmap", "binaryData", {"a": "Yg=="}, "Invalid data[a]"),
    ("configmap", "data", {"a": "x" * (2**20 + 1)}, "TooLong "),
    ("secret", "data", {"a b": "Yg=="}, "Invalid data[a b]"),
    ("secret", "type", "kubernetes.io/tls", "Required data[tls.crt]; Required data[tls.key]"),
    ("secret", "type", "kubernetes.io/ssh-auth", "Required data[ssh-privatekey]"),
    ("secret", "type", "kubernetes.io/dockerconfigjson", "Required data[.dockerconfigjson]"),
    ("secret", "type", "kubernetes.io/basic-auth", "Required data[password]; Required data[username]"),
    ("secret", "type", "kubernetes.io/service-account-token", "Required metadata.annotations[kubernetes.io/service-account.name]"),
    ("limits", "spec/limits/0/type", "Disk", "Invalid spec.limits[0].type"),
    (
        "limits",
        "spec/limits/0/min",
        {"cpu": "3"},
        f"Invalid {LIMIT}.defaultRequest[cpu]; Invalid {LIMIT}.default[cpu]; Invalid {LIMIT}.min[cpu]",
    ),
    ("limits", "spec/limits/1", {"type": "Container"}, "Duplicate spec.limits[1].type"),
    ("quota", "spec/hard", {"pods": "-1"}, "Invalid spec.hard[pods]"),
    ("quota", "spec/hard", {"a": "1"}, "Invalid spec.hard[a]"),
    ("quota", "spec/scopes", ["Many"], "Invalid spec.scopes"),
    ("node", "spec/podCIDRs", ["10.0.0.0"], "Invalid spec.podCIDRs[0]"),
    ("node", "spec/taints", [{"key": "a", "effect": "Go"}], "NotSupported metadata.taints[0].effect"),
    ("node", "spec/taints", [{"key": "a", "effect": "NoSchedule"}] * 2, "Duplicate metadata.taints[1]"),
    ("role", "rules/0/verbs", [], "Required rules[0].verbs"),
    ("role", "rules/0/apiGroups", [], "Required rules[0].apiGroups"),
    ("role", "rules/0/resources", [], "Required rules[0].resources"),
    ("role", "rules/0/nonResourceURLs", ["/a"], "Invalid rules[0].nonResourceURLs"),
    ("cluster role", "rules/0/resources", ["pods"], "Invalid rules[0].nonResourceURLs"),
    ("binding", "roleRef/kind", "Group", "NotSupported roleRef.kind"),
    ("binding", "roleRef/name", "", "Required roleRef.name"),
    ("binding", "roleRef/apiGroup", "b", "NotSupported roleRef.apiGroup"),
    ("binding", "subjects/0/kind", "Robot", "NotSupported subjects[0].kind"),
    ("binding", "subjects/0/name", "", "Required subjects[0].name"),
    ("binding", "subjects/0/apiGroup", "b", "NotSupported subjects[0].apiGroup"),
    ("cluster binding", "roleRef/kind", "Role", "NotSupported roleRef.kind"),
    ("cluster binding", "subjects", [{"kind": "ServiceAccount", "name": "a"}], "Required subjects[0].namespace"),
    ("lease", "spec/leaseDurationSeconds", 0, "Invalid spec.leaseDurationSeconds"),
    ("lease", "spec/leaseTransitions", -1, "Invalid spec.leaseTransitions"),
    ("priority", "value", 2_000_000_000, "Forbidden value"),
    ("priority", "preemptionPolicy", "Always", "NotSupported preemptionPolicy"),
    ("runtime", "handler", "", "Required handler"),
    ("runtime", "handler", "A", "Invalid handler"),
    ("runtime", "overhead", {"podFixed": {"cpu": "-1"}}, "Invalid overhead.podFixed[cpu]"),
    ("event", "involvedObject/namespace", "other", "Invalid involvedObject.namespace"),
    ("service", "spec/version", "v2", "Invalid metadata.name"),
    ("service", "spec/groupPriorityMinimum", 0, "Invalid spec.groupPriorityMinimum"),
    ("service", "spec/service/name", "", "Required spec.service.name"),
    ("service", "spec/service", None, ""),
    ("flow", "spec/matchingPrecedence", 0, ""),
    ("flow", "spec/matchingPrecedence", -1, "Invalid spec.matchingPrecedence"),
    ("flow", "spec/priorityLevelConfiguration/name", "", "Required spec.priorityLevelConfiguration.name"),
    ("flow", "spec/distinguisherMethod", {"type": "ByColour"}, "NotSupported spec.distinguisherMethod.type"),
    ("flow", f"{SUBJECT}/kind", "Robot", f"NotSupported {RULES}.subjects[0].kind"),
    ("flow", f"{SUBJECT}/user/name", "", f"Required {RULES}.subjects[0].user.name"),
    ("level", "spec/limited", None, "Required spec.limited"),
    ("level", "spec/limited/limitResponse/type", "Drop", "NotSupported spec.limited.limitResponse.type"),
    ("level", "spec/limited/nominalConcurrencyShares", -1, "Invalid spec.limited.nominalConcurrencyShares"),
    ("level", "spec/type", "Endless", "NotSupported spec.type"),
]
FIXED = [
    ("configmap", "data", {"a": "c"}, ""),
    ("fixed configmap", "data", {"a": "c"}, "Forbidden data"),
    ("fixed configmap", "immutable", False, "Forbidden immutable"),
    ("secret", "type", "b", "Invalid type"),
    ("node", "spec/podCIDRs", ["10.0.1.0/24"], "Forbidden spec.podCIDRs"),
    ("node", "spec/providerID", "y", "Forbidden spec.providerID"),
    ("node", "spec/unschedulable", True, ""),
    ("binding", "roleRef/name", "b", "Invalid roleRef"),
    ("binding", "subjects", [], ""),
    ("priority", "value", 2, "Forbidden value"),
    ("priority", "description", "d", ""),
    ("priority", "preemptionPolicy", "Never", "Invalid preemptionPolicy"),
    ("runtime", "handler", "crun", "Invalid handler"),
    ("quota", "spec/scopes", ["BestEffort"], "Invalid spec.scopes"),
]


@pytest.mark.parametrize("name", NAMED)
def test_the_manifests_are_right(create, name):
    assert create(NAMED[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, name, path, value, causes):
    assert "; ".join(create(NAMED[name], path, value)) == causes


@pytest.mark.parametrize(("name", "path", "value", "causes"), FIXED)
def test_some_of_it_stays_for_ever(update, name, path, value, causes):
    assert "; ".join(update(NAMED[name], path, value)) == causes


def test_defaults(defaulted):
    assert defaulted(NAMED["secret"]).type == "Opaque"
    assert defaulted(NAMED["priority"]).preemptionPolicy == "PreemptLowerPriority"
    assert defaulted(NAMED["binding"]).subjects[1].apiGroup == GROUP
    assert defaulted(NAMED["service"]).spec.service.port == 443
    assert defaulted(NAMED["flow"]).spec.matchingPrecedence == 5
    assert defaulted(NAMED["level"]).spec.limited.nominalConcurrencyShares == 30
    assert defaulted(NAMED["limits"]).spec.limits[0].defaultRequest == {"cpu": "2"}


def test_a_range_without_a_name_is_named_by_its_uid(defaulted):
    assert defaulted(NAMED["limits"], "metadata/name", None).metadata.name == "u"
