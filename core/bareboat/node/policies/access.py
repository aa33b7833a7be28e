"""What agents must read to enforce NetworkPolicies: policies, namespaces and the pods of every node.

Granted to an identity of its own, never to nodes: an agent's other parts see no pod of another node. A machine that joined has no such
identity; there, bind the ClusterRole to its node (or to ``system:nodes``) to have policies enforced, or the Node says
``NetworkPolicyReady: False``.
"""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "bareboat:network-policy"
GROUP: Final = "system:bareboat:network-policy"
_RBAC: Final = "rbac.authorization.k8s.io"
_META: Final = {"name": NAME, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}

OBJECTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": _META,
        "rules": [
            {"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
        ],
    },
    {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _META,
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": GROUP}],
    },
)
