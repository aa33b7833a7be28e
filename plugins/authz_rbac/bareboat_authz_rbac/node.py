"""The node authorizer: an agent may touch what belongs to its node, and nothing else (after upstream's Node authorizer).

Secrets, ConfigMaps, claims, volumes and accounts only of pods that are bound to the node (``graph``); its own Node, Lease, CSINode and
slices; pods only by the field selector ``spec.nodeName``. What is the same for all nodes comes from the ClusterRole ``system:node``.
What the part of an agent that proxies Services reads beyond that is bound by RBAC (``bareboat:node-proxier``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bareboat.contracts.auth import ALLOW, Attributes, Authorizer, Decision, Reader, Rules, UserInfo
from bareboat_authz_rbac.graph import Graph
from bareboat_authz_rbac.rules import CompiledRule
from bareboat_authz_rbac.views import CLAIM, DEVICES, POD

NODES, PREFIX, LEASES = "system:nodes", "system:node:", "kube-node-lease"
_READ = frozenset({"get", "list", "watch"})
_OWN = frozenset({"get", "create", "update", "patch", "delete"})
_CHANGE = frozenset({"update", "patch"})
_NO = Decision("NoOpinion")


def node_of(user: UserInfo) -> str:
    """The node that the user is; "" for everybody else."""
    return user.name.removeprefix(PREFIX) if NODES in user.groups and user.name.startswith(PREFIX) else ""


class NodeAuthorizer(Authorizer):
    """See contracts.auth.Authorizer. No opinion on anybody who is no node."""

    name = "node"

    def __init__(self, reader: Reader, rules: Iterable[Any]) -> None:
        """``rules`` are those of every node."""
        self._graph = Graph(reader)
        self._rules = [CompiledRule(rule) for rule in rules]
        self._special: dict[tuple[str, str], Callable[[str, Attributes], str]] = {
            ("", "secrets"): self._read,
            ("", "configmaps"): self._read,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._volume,
            ("", "serviceaccounts"): self._account,
            ("", "nodes"): _node,
            ("", "pods"): self._pod,
            ("coordination.k8s.io", "leases"): _lease,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("storage.k8s.io", "volumeattachments"): self._attachment,
            ("resource.k8s.io", "resourceclaims"): self._device_claim,
            ("resource.k8s.io", "resourceslices"): self._slice,
        }

    async def authorize(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if not node:
            return _NO
        check = self._special.get((attributes.group, attributes.resource))
        if check is None:
            return ALLOW if any(rule.allows(attributes) for rule in self._rules) else _NO
        if check not in _WITHOUT_GRAPH:
            await self._graph.settled()
        objection = check(node, attributes)
        return Decision("NoOpinion", objection) if objection else ALLOW

    def stamp(self, user: UserInfo) -> object:
        """What a node may do changes with every pod; others get no answer here."""
        return None if node_of(user) else 0

    def rules_for(self, user: UserInfo, namespace: str) -> Rules:
        """What a node may do depends on objects: rules cannot say it."""
        return [], [], bool(node_of(user))

    def _uses(self, node: str, asked: Attributes, resource: str) -> str:
        if asked.name and self._graph.uses(node, resource, asked.namespace, asked.name):
            return ""
        return f"no relationship found between node '{node}' and this object"

    def _read(self, node: str, asked: Attributes) -> str:
        if asked.verb not in _READ or asked.subresource or not asked.namespace:
            return "can only read namespaced object of this type"
        return self._uses(node, asked, asked.resource)

    def _claim(self, node: str, asked: Attributes) -> str:
        if asked.subresource == "status":
            return self._uses(node, asked, CLAIM) if asked.verb in _CHANGE else "can only update the status of claims"
        return self._uses(node, asked, CLAIM) or _only_get(asked)

    def _device_claim(self, node: str, asked: Attributes) -> str:
        return self._uses(node, asked, DEVICES) or _only_get(asked)

    def _volume(self, node: str, asked: Attributes) -> str:
        if not self._graph.has_volume(node, asked.name):
            return f"no relationship found between node '{node}' and this object"
        return _only_get(asked)

    def _attachment(self, node: str, asked: Attributes) -> str:
        if not self._graph.has_attachment(node, asked.name):
            return f"no relationship found between node '{node}' and this object"
        return _only_get(asked)

    def _account(self, node: str, asked: Attributes) -> str:
        if (asked.verb, asked.subresource) not in (("create", "token"), ("get", "")):
            return "can only create tokens for individual service accounts"
        return self._uses(node, asked, "serviceaccounts")

    def _pod(self, node: str, asked: Attributes) -> str:
        verb, part = asked.verb, asked.subresource
        if not part and verb == "get":
            return self._uses(node, asked, POD)
        if not part and verb in ("list", "watch"):
            return "" if _selects_node(asked, node) else "can only list/watch pods with spec.nodeName field selector"
        writes = {"": ("create", "delete"), "status": ("update", "patch"), "eviction": ("create",)}
        if verb not in writes.get(part, ()):
            return "can only write the status of pods, and create, delete and evict them"
        # admission sees to the rest (NodeRestriction); what is known to be another node's ends here
        where = self._graph.node_of_pod(asked.namespace, asked.name)
        return f"the pod is bound to another node than '{node}'" if asked.name and where and where != node else ""

    def _slice(self, node: str, asked: Attributes) -> str:
        if asked.subresource:
            return "cannot authorize ResourceSlice subresources"
        if asked.verb == "create":
            return ""  # admission sees to the name of the node
        if asked.verb in ("list", "watch", "deletecollection"):
            return "" if _selects_node(asked, node) else "can only list/watch/deletecollection resourceslices with nodeName field selector"
        if asked.verb in _OWN and self._graph.has_slice(node, asked.name):
            return ""
        return f"no relationship found between node '{node}' and this object"


def _only_get(asked: Attributes) -> str:
    return "" if asked.verb == "get" and not asked.subresource else "can only get individual resources of this type"


def _selects_node(asked: Attributes, node: str) -> bool:
    wanted = ("spec.nodeName", "In", (node,))
    return any((field.key, field.operator, field.values) == wanted for field in asked.fields)


def _node(node: str, asked: Attributes) -> str:
    if asked.subresource == "status":
        return "" if asked.verb in _CHANGE and asked.name == node else "can only update the status of its own Node object"
    if asked.subresource:
        return "cannot authorize Node subresources"
    if asked.verb == "create" and not asked.name:
        return ""  # admission sees to the name
    if asked.verb in _READ or asked.verb in ("create", *_CHANGE):
        return "" if asked.name == node else f"node '{node}' cannot {asked.verb} other Node objects than its own"
    return f"cannot {asked.verb} Node objects"


def _lease(node: str, asked: Attributes) -> str:
    if asked.verb not in _OWN:
        return "can only get, create, update, patch, or delete a node lease"
    if asked.namespace != LEASES:
        return f"can only access leases in the {LEASES!r} system namespace"
    return "" if asked.verb == "create" or asked.name == node else "can only access node lease with the same name as the requesting node"


def _csi_node(node: str, asked: Attributes) -> str:
    if asked.subresource:
        return "cannot authorize CSINode subresources"
    if asked.verb not in _OWN:
        return "can only get, create, update, patch, or delete a CSINode"
    return "" if asked.verb == "create" or asked.name == node else "can only access CSINode with the same name as the requesting node"


#: A node's own objects: their names say whose they are.
_WITHOUT_GRAPH = (_node, _lease, _csi_node)
