"""Reads the published OpenAPI definitions of Kubernetes from the kubernetes-validate distribution.

Out: definitions by (module, type) as upstream publishes them: that distribution's own additions (null in every type, an enum for
kind and apiVersion) are taken back. `shape` reduces a property to the small language that the rest of the build and the run time
speak: a scalar name, `module.Type`, `[]shape` or `{}shape`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

RELEASE = "v1.36.0-local"
SCALARS = {
    "api_resource.Quantity": "quantity",
    "meta_v1.Time": "time",
    "meta_v1.MicroTime": "microtime",
    "meta_v1.FieldsV1": "any",
    "meta_v1.Patch": "any",
    "pkg_runtime.RawExtension": "any",
    "util_intstr.IntOrString": "intorstring",
    "apiextensions_v1.JSON": "any",
    "apiextensions_v1.JSONSchemaPropsOrArray": "schema|schemas",
    "apiextensions_v1.JSONSchemaPropsOrBool": "schema|bool",
    "apiextensions_v1.JSONSchemaPropsOrStringArray": "schema|strings",
}
FORMATS = {"byte": "bytes", "int32": "int32", "int64": "int64", "double": "double"}
PLAIN = {"string": "string", "boolean": "bool", "integer": "int64", "number": "double", "object": "any"}


def load() -> dict[str, dict[str, Any]]:
    """All definitions by `module.Type`; `x-name` keeps the published name."""
    path = files("kubernetes_validate") / "kubernetes-json-schema" / RELEASE / "_definitions.json"
    published = json.loads(path.read_text())["$defs"]
    return {short(name): {**_restore(schema), "x-name": name} for name, schema in published.items()}


def short(name: str) -> str:
    *_, group, version, kind = name.split(".")
    return f"{group.replace('-', '_')}_{version}.{kind}"


def shape(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        target = short(schema["$ref"].rsplit("/", 1)[1])
        return SCALARS.get(target, target)
    if schema.get("type") == "array":
        return "[]" + shape(schema["items"])
    if "additionalProperties" in schema:
        return "{}" + shape(schema["additionalProperties"])
    return FORMATS.get(schema.get("format", ""), PLAIN[schema["type"]])


def _restore(schema: dict[str, Any]) -> dict[str, Any]:
    restored = {key: _restore(value) if key in ("items", "additionalProperties") else value for key, value in schema.items()}
    if isinstance(kinds := schema.get("type"), list):
        restored["type"] = next(kind for kind in kinds if kind != "null")
    if len(schema.get("enum", ())) and schema.get("properties") is None:
        restored["enum"] = [value for value in schema["enum"] if value is not None]
    if "oneOf" in schema:
        restored["oneOf"] = [_restore(choice) for choice in schema["oneOf"]]
    if "properties" in schema:
        restored["properties"] = {name: _property(name, value) for name, value in schema["properties"].items()}
    return restored


def _property(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    restored = _restore(schema)
    if name in ("kind", "apiVersion"):
        restored.pop("enum", None)
    return restored
