"""Names of Go types as Go's decoder prints them in error messages. In: the type as its source has it. Out: `v1.PullPolicy`, `[]uint8` …"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bareboat.models.schema import TypeSchema

_NAME = re.compile(r"(?:(\w+)\.)?([A-Za-z]\w*)")
_BUILTIN = frozenset({"string", "bool", "int32", "int64", "float64", "map", "byte", "uint8", "interface"})
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?$")
_NAMED = {
    "v1.ResourceList": "map[v1.ResourceName]resource.Quantity",
    "v1.ExtraValue": "[]string",
    "v1.Verbs": "[]string",
    "v1.ValidationRules": "[]v1.ValidationRule",
    "v1.JSONSchemaDependencies": "map[string]v1.JSONSchemaPropsOrStringArray",
    "v1.JSONSchemaDefinitions": "map[string]v1.JSONSchemaProps",
}


def printed(go_type: str, owner: TypeSchema) -> str:
    """The type without its pointer, every name qualified by its package."""
    return _printed(go_type.removeprefix("*"), owner.go_package)


def element(go_type: str) -> str:
    """The printed type of an item."""
    listed = _NAMED.get(go_type, go_type)
    if listed.startswith("[]"):
        return listed[2:]
    return listed[listed.index("]") + 1 :] if listed.startswith("map[") else listed


@lru_cache(maxsize=1024)
def _printed(go_type: str, package: str) -> str:
    def qualified(found: re.Match[str]) -> str:
        alias, name = found[1], found[2]
        if alias is None:
            return {"byte": "uint8"}.get(name, name) if name in _BUILTIN else f"{package}.{name}"
        version = _VERSION.search(alias)
        return f"{version[0] if version else alias}.{name}"

    return _NAME.sub(qualified, go_type)
