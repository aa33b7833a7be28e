"""The documents themselves: paths with their operations, and the schemas they use. Built when first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.api.openapi.schemas import closure, published
from bareboat.models.scheme import Resource, Scheme, Subresource

Tree = dict[str, Any]
VERSION = "v1.36.0"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_METHODS = {
    "get": "get",
    "list": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_WRITES = ("post", "put", "patch")
_ACTIONS = {"get": "get", "list": "list", "create": "post", "update": "put"}
_SPOKEN = {"get": "read", "update": "replace", "deletecollection": "delete"}


def group_versions(scheme: Scheme) -> dict[str, list[Resource]]:
    """ "api/v1" or "apis/apps/v1" → its resources."""
    found: dict[str, list[Resource]] = {}
    for resource in scheme.resources():
        found.setdefault(resource.path_prefix.lstrip("/"), []).append(resource)
    return found


def v3(resources: list[Resource], custom: Tree | None = None) -> Tree:
    """The document of one group and version. ``custom`` has the schemas of those that are custom."""
    schemas = {**closure(_names(resources), "#/components/schemas/"), **(custom or {})}
    paths = {path: item for r in resources for path, item in _paths(r, v2=False).items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def v2(resources: list[Resource], custom: Tree | None = None) -> Tree:
    """The one document of the old form."""
    paths = {path: item for r in resources for path, item in _paths(r, v2=True).items()}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted({**closure(_names(resources), "#/definitions/"), **(custom or {})}.items())),
    }


def _names(resources: Iterable[Resource]) -> list[str]:
    names = [_META + "Status", _META + "DeleteOptions"]
    for resource in resources:
        module, _, kind = resource.type_key.partition(".")
        if module:
            names += [published(module, kind), published(module, f"{kind}List")]
        if resource.custom:
            names += [_META + "ObjectMeta", _META + "ListMeta"]
        names += [published(_module(part), part.kind) for part in resource.subresources.values()]
    return [n for n in names if n]


def _paths(resource: Resource, *, v2: bool) -> Tree:
    base = resource.path_prefix
    plural = resource.plural
    collection = f"{base}/namespaces/{{namespace}}/{plural}" if resource.namespaced else f"{base}/{plural}"
    paths: Tree = {}
    for path, wanted in (
        (collection, ("list", "create", "deletecollection")),
        (f"{collection}/{{name}}", ("get", "update", "patch", "delete")),
    ):
        if verbs := [v for v in wanted if v in resource.verbs]:
            paths[path] = _item(resource, verbs, path, v2)
    if resource.namespaced and "list" in resource.verbs:
        paths[f"{base}/{plural}"] = _item(resource, ["list"], f"{base}/{plural}", v2)
    for part in resource.subresources.values():
        path = f"{collection}/{{name}}/{part.name}"
        paths[path] = _item(resource, [v for v in part.verbs if v in _METHODS], path, v2, part)
    return paths


def _item(resource: Resource, verbs: list[str], path: str, v2: bool, part: Subresource | None = None) -> Tree:
    item: Tree = {_METHODS[verb]: _operation(resource, verb, path, v2, part) for verb in verbs}
    described = {"name": f"name of the {resource.kind}", "namespace": "object name and auth scope, such as for teams and projects"}
    names = [n for n in ("name", "namespace") if f"{{{n}}}" in path]
    item["parameters"] = [_parameter(n, "string", v2, where="path", description=described[n]) for n in names]
    item["parameters"].append(_parameter("pretty", "string", v2))
    return item


def _operation(resource: Resource, verb: str, path: str, v2: bool, part: Subresource | None) -> Tree:
    kind, api_version = (part.kind, _api_version(part)) if part else (resource.kind, resource.api_version)
    module = resource.type_key.partition(".")[0] if part is None else _module(part)
    answered = _published(resource, part, module, (resource.list_kind or f"{kind}List") if verb == "list" else kind)
    if verb in ("delete", "deletecollection") and part is None:
        answered = _META + "Status"
    group, _, version = api_version.rpartition("/")
    operation: Tree = {
        "operationId": _operation_id(resource, verb, path, part),
        "tags": [f"{_camel(resource.group) or 'core'}_{resource.version}"],
        "parameters": _parameters(verb, v2),
        "responses": _responses(answered, v2),
        "x-kubernetes-action": _ACTIONS.get(verb, verb) if part is None or not part.kind.endswith("Options") else "connect",
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }
    method = _METHODS[verb]
    if method in _WRITES and answered:
        patches = _PATCHES[:-1] if resource.custom else _PATCHES  # nothing says how a custom kind's lists would be merged
        _add_body(operation, method, _published(resource, part, module, kind), v2, patches)
    return operation


def _published(resource: Resource, part: Subresource | None, module: str, kind: str) -> str:
    if resource.custom and (part is None or part.group == resource.group):
        return ".".join([*reversed(resource.group.split(".")), resource.version, kind])
    return published(module, kind) if module else ""


def _api_version(part: Subresource) -> str:
    return f"{part.group}/{part.version}" if part.group else part.version


def _module(part: Subresource) -> str:
    return f"{part.group.split('.')[0] or 'core'}_{part.version}"


def _operation_id(resource: Resource, verb: str, path: str, part: Subresource | None) -> str:
    """As published: readAppsV1NamespacedDeploymentStatus, listCoreV1PodForAllNamespaces."""
    group = _camel(resource.group) or "core"
    start = f"{_SPOKEN.get(verb, verb)}{group[0].upper()}{group[1:]}{resource.version.title()}"
    start += "Collection" if verb == "deletecollection" else ""
    scope = "Namespaced" if "{namespace}" in path else ""
    tail = "ForAllNamespaces" if resource.namespaced and not scope else ""
    return f"{start}{scope}{resource.kind}{part.name.title() if part else ''}{tail}"


def _camel(group: str) -> str:
    """rbac.authorization.k8s.io → rbacAuthorization."""
    first, *rest = group.removesuffix(".k8s.io").split(".")
    return first + "".join(word.title() for word in rest)


def _add_body(operation: Tree, method: str, name: str, v2: bool, patches: tuple[str, ...]) -> None:
    if v2:
        schema: Tree = {"type": "object"} if method == "patch" else {"$ref": f"#/definitions/{name}"}
        operation["parameters"].append({"name": "body", "in": "body", "required": True, "schema": schema})
        operation["consumes"] = list(patches) if method == "patch" else ["*/*"]
        return
    schema = {"type": "object"} if method == "patch" else {"$ref": f"#/components/schemas/{name}"}
    types = patches if method == "patch" else ("*/*",)
    operation["requestBody"] = {"content": {t: {"schema": schema} for t in types}, "required": True}


def _parameters(verb: str, v2: bool) -> list[Tree]:
    names: dict[str, str] = {}
    if verb in ("create", "update", "patch"):
        names |= {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
    if verb == "patch":
        names["force"] = "boolean"
    if verb in ("delete", "deletecollection"):
        names |= {"dryRun": "string", "gracePeriodSeconds": "integer", "propagationPolicy": "string"}
    if verb in ("list", "deletecollection"):
        names |= {
            "labelSelector": "string",
            "fieldSelector": "string",
            "limit": "integer",
            "continue": "string",
            "resourceVersion": "string",
        }
    if verb == "list":
        names |= {"watch": "boolean", "allowWatchBookmarks": "boolean", "timeoutSeconds": "integer", "sendInitialEvents": "boolean"}
    return [_parameter(name, kind, v2) for name, kind in sorted(names.items())]


def _parameter(name: str, kind: str, v2: bool, *, where: str = "query", description: str = "") -> Tree:
    found: Tree = {"name": name, "in": where}
    if description:
        found["description"] = description
    if where == "path":
        found["required"] = True
    shape = {"type": kind, "uniqueItems": True}
    return {**found, **shape} if v2 else {**found, "schema": shape}


def _responses(name: str, v2: bool) -> Tree:
    if not name:
        return {"200": {"description": "OK"}}
    if v2:
        return {"200": {"description": "OK", "schema": {"$ref": f"#/definitions/{name}"}}}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"200": {"description": "OK", "content": content}}
