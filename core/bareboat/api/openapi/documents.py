"""The documents themselves: paths with their operations, and the schemas they use. Built when first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bareboat.api.openapi.schemas import closure, published
from bareboat.models.scheme import Resource, Scheme

Tree = dict[str, Any]
VERSION = "v1.36.0"
_METHODS = {
    "get": "get",
    "list": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
_WRITES = ("post", "put", "patch")


def group_versions(scheme: Scheme) -> dict[str, list[Resource]]:
    """ "api/v1" or "apis/apps/v1" → its resources."""
    found: dict[str, list[Resource]] = {}
    for resource in scheme.resources():
        found.setdefault(resource.path_prefix.lstrip("/"), []).append(resource)
    return found


def v3(resources: list[Resource]) -> Tree:
    """The document of one group and version."""
    schemas = closure(_names(resources), "#/components/schemas/")
    paths = {path: item for r in resources for path, item in _paths(r, v2=False).items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas},
    }


def v2(scheme: Scheme) -> Tree:
    """The one document of the old form."""
    resources = scheme.resources()
    paths = {path: item for r in resources for path, item in _paths(r, v2=True).items()}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": dict(sorted(paths.items())),
        "definitions": closure(_names(resources), "#/definitions/"),
    }


def _names(resources: Iterable[Resource]) -> list[str]:
    names = ["io.k8s.apimachinery.pkg.apis.meta.v1.Status", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]
    for resource in resources:
        module, _, kind = resource.type_key.partition(".")
        if module:
            names += [published(module, kind), published(module, f"{kind}List")]
    return [n for n in names if n]


def _paths(resource: Resource, *, v2: bool) -> Tree:
    base = resource.path_prefix
    plural = resource.plural
    collection = f"{base}/namespaces/{{namespace}}/{plural}" if resource.namespaced else f"{base}/{plural}"
    paths: Tree = {}
    if set(resource.verbs) & {"list", "create", "deletecollection"}:
        paths[collection] = _item(resource, [v for v in ("list", "create", "deletecollection") if v in resource.verbs], v2)
    if set(resource.verbs) & {"get", "update", "patch", "delete"}:
        paths[f"{collection}/{{name}}"] = _item(resource, [v for v in ("get", "update", "patch", "delete") if v in resource.verbs], v2)
    if resource.namespaced and "list" in resource.verbs:
        paths[f"{base}/{plural}"] = _item(resource, ["list"], v2)
    return paths


def _item(resource: Resource, verbs: list[str], v2: bool) -> Tree:
    return {_METHODS[verb]: _operation(resource, verb, v2) for verb in verbs}


def _operation(resource: Resource, verb: str, v2: bool) -> Tree:
    module, _, kind = resource.type_key.partition(".")
    answered = published(module, f"{kind}List" if verb == "list" else kind) if module else ""
    if verb in ("delete", "deletecollection"):
        answered = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
    operation: Tree = {
        "operationId": f"{verb}{resource.group.split('.')[0].title() or 'Core'}{resource.version.title()}{resource.kind}",
        "tags": [f"{resource.group or 'core'}_{resource.version}"],
        "parameters": _parameters(verb, v2),
        "responses": _responses(answered, v2),
        "x-kubernetes-action": {"get": "get", "list": "list", "create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
    }
    method = _METHODS[verb]
    if method in _WRITES and module:
        _add_body(operation, method, published(module, kind), v2)
    return operation


def _add_body(operation: Tree, method: str, name: str, v2: bool) -> None:
    if v2:
        schema: Tree = {"type": "object"} if method == "patch" else {"$ref": f"#/definitions/{name}"}
        operation["parameters"].append({"name": "body", "in": "body", "required": True, "schema": schema})
        operation["consumes"] = list(_PATCHES) if method == "patch" else ["*/*"]
        return
    schema = {"type": "object"} if method == "patch" else {"$ref": f"#/components/schemas/{name}"}
    types = _PATCHES if method == "patch" else ("*/*",)
    operation["requestBody"] = {"content": {t: {"schema": schema} for t in types}, "required": True}


def _parameters(verb: str, v2: bool) -> list[Tree]:
    names = {"pretty": "string"}
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
    if v2:
        return [{"name": n, "in": "query", "type": t, "uniqueItems": True} for n, t in sorted(names.items())]
    return [{"name": n, "in": "query", "schema": {"type": t, "uniqueItems": True}} for n, t in sorted(names.items())]


def _responses(name: str, v2: bool) -> Tree:
    if not name:
        return {"200": {"description": "OK"}}
    if v2:
        return {"200": {"description": "OK", "schema": {"$ref": f"#/definitions/{name}"}}}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"200": {"description": "OK", "content": content}}
