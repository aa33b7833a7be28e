"""The FlowSchemas and PriorityLevelConfigurations that every cluster has: two of each are mandatory, the rest suggested."""

from __future__ import annotations

from typing import Any, Final

AUTOUPDATE: Final = "apf.kubernetes.io/autoupdate-spec"
MANDATORY: Final = frozenset({"exempt", "catch-all"})
_API = "flowcontrol.apiserver.k8s.io/v1"
Tree = dict[str, Any]

_EVERYTHING: Tree = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
_EVERY_PATH: Tree = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def _user(name: str) -> Tree:
    return {"kind": "User", "user": {"name": name}}


def _group(name: str) -> Tree:
    return {"kind": "Group", "group": {"name": name}}


_KUBE_SYSTEM: Tree = {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}}
_CONTROLLERS, _SCHEDULER = _user("system:kube-controller-manager"), _user("system:kube-scheduler")
_EVERYBODY = [_group("system:unauthenticated"), _group("system:authenticated")]
_LEASES: Tree = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]}


def _head(kind: str, name: str) -> Tree:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}}}


def _schema(
    name: str,
    level: str,
    precedence: int,
    by: str,
    subjects: list[Tree],
    resources: list[Tree] | None = None,
    paths: list[Tree] | None = None,
) -> Tree:
    rule: Tree = {"subjects": subjects}
    if resources is None and paths is None:
        resources, paths = [_EVERYTHING], [_EVERY_PATH]
    rule.update({"resourceRules": resources} if resources else {})
    rule.update({"nonResourceRules": paths} if paths else {})
    spec: Tree = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]}
    if by:
        spec["distinguisherMethod"] = {"type": by}
    return {**_head("FlowSchema", name), "spec": spec}


def _level(name: str, shares: int, lendable: int, queues: int = 0, hand: int = 6) -> Tree:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
    response = {"type": "Queue", "queuing": queuing} if queues else {"type": "Reject"}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return {**_head("PriorityLevelConfiguration", name), "spec": {"type": "Limited", "limited": limited}}


_EXEMPT: Tree = {
    **_head("PriorityLevelConfiguration", "exempt"),
    "spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
}

LEVELS: Final[list[Tree]] = [
    _EXEMPT,
    _level("catch-all", 5, 0),
    _level("system", 30, 33, 64),
    _level("node-high", 40, 25, 64),
    _level("leader-election", 10, 0, 16, 4),
    _level("workload-high", 40, 50, 128),
    _level("workload-low", 100, 90, 128),
    _level("global-default", 20, 50, 128),
]

SCHEMAS: Final[list[Tree]] = [
    _schema("exempt", "exempt", 1, "", [_group("system:masters")]),
    _schema("catch-all", "catch-all", 10000, "ByUser", _EVERYBODY),
    _schema("probes", "exempt", 2, "", _EVERYBODY, None, [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]),
    _schema(
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        [_CONTROLLERS, _SCHEDULER, _KUBE_SYSTEM],
        [{"verbs": ["get", "create", "update"], **_LEASES}],
    ),
    _schema(
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        [_group("system:nodes")],
        [
            {"verbs": ["*"], "apiGroups": [""], "resources": ["nodes", "nodes/status"], "clusterScope": True, "namespaces": ["*"]},
            {"verbs": ["*"], **_LEASES},
        ],
    ),
    _schema("system-nodes", "system", 500, "ByUser", [_group("system:nodes")]),
    _schema("kube-controller-manager", "workload-high", 800, "ByNamespace", [_CONTROLLERS]),
    _schema("kube-scheduler", "workload-high", 800, "ByNamespace", [_SCHEDULER]),
    _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", [_KUBE_SYSTEM]),
    _schema("service-accounts", "workload-low", 9000, "ByUser", [_group("system:serviceaccounts")]),
    _schema("global-default", "global-default", 9900, "ByUser", _EVERYBODY),
]
