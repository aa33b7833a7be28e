"""From a Struct to the structural schema of a custom kind: no references, no alternatives, null only as ``nullable``.

In: a msgspec Struct (or dataclass). Out: an OpenAPI v3 schema tree. Fields without default are required; docstrings become descriptions.
"""

from __future__ import annotations

from typing import Any

import msgspec

_KEPT = (
    "type",
    "description",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "format",
    "default",
)


def structural(cls: Any) -> dict[str, Any]:
    """Raises TypeError for what a schema cannot say: a recursive type, or a choice of several."""
    try:
        (found,), parts = msgspec.json.schema_components([cls], ref_template="{name}")
    except TypeError as error:
        raise TypeError(f"{getattr(cls, '__name__', cls)} has no schema: {error}") from error
    return _plain(found, parts, ())


def _plain(schema: dict[str, Any], parts: dict[str, Any], above: tuple[str, ...]) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"]
        if name in above:
            raise TypeError(f"{name} contains itself; the schema of a kind is a tree")
        return _plain(parts[name], parts, (*above, name))
    if "anyOf" in schema:
        return _choice(schema, parts, above)
    made: dict[str, Any] = {k: schema[k] for k in _KEPT if k in schema}
    if "properties" in schema:
        made["properties"] = {k: _plain(v, parts, above) for k, v in schema["properties"].items()}
        if schema.get("required"):
            made["required"] = list(schema["required"])
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _plain(schema["additionalProperties"], parts, above)
    elif schema.get("type") == "object" and "properties" not in schema:
        made["x-kubernetes-preserve-unknown-fields"] = True
    if "items" in schema:
        made["items"] = _plain(schema["items"], parts, above)
    if not made.get("type"):
        made["x-kubernetes-preserve-unknown-fields"] = True
    if made.get("default", ...) is None:
        del made["default"]
    return made


def _choice(schema: dict[str, Any], parts: dict[str, Any], above: tuple[str, ...]) -> dict[str, Any]:
    """X or null is a nullable X."""
    others = [s for s in schema["anyOf"] if s.get("type") != "null"]
    if len(others) == 2 and {s.get("type") for s in others} == {"integer", "string"}:
        return {"x-kubernetes-int-or-string": True}
    if len(others) != 1:
        raise TypeError(f"a field is one of several types: {[s.get('type') or s.get('$ref') for s in others]}; choose one")
    made = _plain(others[0], parts, above)
    return {**made, "nullable": True} if len(others) < len(schema["anyOf"]) else made
