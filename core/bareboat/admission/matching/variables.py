"""What expressions see of a request: object, oldObject, request, and the namespace as namespaceObject."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.contracts.auth import Reader, UserInfo
from bareboat.models import core_v1
from bareboat.models.codec import to_tree

Tree = dict[str, Any]


def user_tree(user: UserInfo) -> Tree:
    tree: Tree = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        tree["uid"] = user.uid
    if user.extra:
        tree["extra"] = {name: list(values) for name, values in user.extra.items()}
    return tree


def request_tree(request: AdmissionRequest, group: str, version: str, kind: str) -> Tree:
    """As in an AdmissionReview, without the objects. ``group`` and ``version`` are those in which the hook wants to see it."""
    resource = {"group": group, "version": version, "resource": request.resource}
    asked = {"group": request.group, "version": request.version, "resource": request.resource}
    tree: Tree = {
        "kind": {"group": group, "version": version, "kind": kind} if kind == request.kind else kind_of_part(request),
        "resource": resource,
        "requestKind": {"group": request.group, "version": request.version, "kind": kind}
        if kind == request.kind
        else kind_of_part(request),
        "requestResource": asked,
        "name": request.name,
        "operation": request.operation,
        "userInfo": user_tree(request.user),
        "dryRun": request.dry_run,
        "options": request.options or None,
    }
    if request.subresource:
        tree["subResource"] = tree["requestSubResource"] = request.subresource
    if request.namespace:
        tree["namespace"] = request.namespace
    return tree


def kind_of_part(request: AdmissionRequest) -> Tree:
    """The kind of what a subresource takes, such as a Binding or an Eviction."""
    obj = request.object if request.object is not None else request.old
    group, _, version = obj.apiVersion.rpartition("/")
    return {"group": group, "version": version, "kind": obj.kind}


def kind_of(request: AdmissionRequest) -> str:
    obj = request.object if request.object is not None else request.old
    return getattr(obj, "kind", "") or request.kind


async def trees(host: AdmissionHost, request: AdmissionRequest, group: str, version: str) -> tuple[Tree | None, Tree | None]:
    """(object, oldObject) in that version."""
    wanted = f"{group}/{version}" if group else version
    if (group, version) == (request.group, request.version):
        wanted = ""
    new = None if request.object is None else await host.tree(request, request.object, wanted)
    return new, None if request.old is None else await host.tree(request, request.old, wanted)


def namespace_tree(request: AdmissionRequest, reader: Reader) -> Tree | None:
    """Without managedFields; None for what has no namespace."""
    if not request.namespace or request.resource == "namespaces":
        return None
    found = reader.get(core_v1.Namespace, request.namespace)
    if found is None:
        return None
    found.metadata.managedFields = []
    return to_tree(found)
