"""Writes the Python modules of `bareboat_definitions`: one msgspec Struct per type, one module per group and version.

A type precedes its users where it can, so that annotations are real types; only recursive ones are strings. How a field is encoded
follows from its default alone: msgspec omits a field that equals its default, unless the default comes from a factory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bareboat_build.facts import FieldFacts, TypeFacts

HEADER = '''"""Generated from the published definitions of Kubernetes. Do not edit."""

import builtins as _b
from typing import Any as _Any

from msgspec import Struct as _Struct
from msgspec import field as _field

from bareboat.models import scalars as _s
'''
OPTIONS = "kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False"
SCALARS = {
    "string": "_b.str",
    "bool": "_b.bool",
    "int32": "_s.Int32",
    "int64": "_s.Int64",
    "double": "_s.Double",
    "bytes": "_s.Bytes",
    "time": "_s.Time",
    "microtime": "_s.MicroTime",
    "quantity": "_s.Quantity",
    "intorstring": "_s.IntOrString",
    "any": "_Any",
    "schema|bool": "JSONSchemaProps | _b.bool",
    "schema|schemas": "JSONSchemaProps | _b.list[JSONSchemaProps]",
    "schema|strings": "JSONSchemaProps | _b.list[_b.str]",
}
#: The Go type of what is kept as the JSON that it is.
FIELDS = "*FieldsV1"
ZEROS = {"quantity": '_s.preset("0")', "intorstring": "_b.int", "any": "_s.nothing", "time": "_s.nothing", "microtime": "_s.nothing"}
ALWAYS = {"s": "_b.str", "b": "_b.bool", "n": "_b.int", "l": "_s.empty_list", "m": "_s.empty_map", "p": "_s.nothing", "t": "_s.nothing"}
DEFAULTS = {"s": '""', "b": "False", "n": "0", "l": "[]", "m": "{}", "p": "None", "t": "None"}


def modules(facts: dict[str, TypeFacts]) -> dict[str, str]:
    """The text of each module by name."""
    by_module: dict[str, list[TypeFacts]] = {}
    for fact in ordered(facts):
        by_module.setdefault(fact.module, []).append(fact)
    return {name: _module(name, types) for name, types in by_module.items()}


def ordered(facts: dict[str, TypeFacts]) -> Iterator[TypeFacts]:
    """Every type after the types that it refers to, as far as recursion allows."""
    seen: set[str] = set()

    def visit(key: str) -> Iterator[TypeFacts]:
        if key in seen:
            return
        seen.add(key)
        for field in facts[key].fields:
            if (target := _target(field.shape)) in facts:
                yield from visit(target)
        yield facts[key]

    for key in sorted(facts):
        yield from visit(key)


def _target(shape: str) -> str:
    bare = shape.replace("[]", "").replace("{}", "")
    return "apiextensions_v1.JSONSchemaProps" if bare.startswith("schema|") else bare


def _module(module: str, types: list[TypeFacts]) -> str:
    targets = {_target(field.shape) for fact in types for field in fact.fields}
    others = {target.split(".")[0] for target in targets if "." in target} - {module}
    lines = [HEADER]
    lines += [f"from bareboat_definitions import {other} as _{other}" for other in sorted(others)]
    lines.append(f"\n__all__ = {sorted(t.name for t in types)!r}\n")
    defined: set[str] = set()
    for fact in types:
        defined.add(fact.name)
        lines += _class(fact, module, defined - {fact.name})
    return "\n".join(lines) + "\n"


def _class(fact: TypeFacts, module: str, defined: set[str]) -> Iterable[str]:
    rename = {f.attr: f.name for f in fact.fields if f.attr != f.name}
    options = OPTIONS + (f", rename={rename!r}" if rename else "")
    yield f"\nclass {fact.name}(_Struct, {options}):"
    for field in fact.fields:
        yield f"    {field.attr}: {_annotation(field, module, defined)} = {_default(field, fact, module)}"
    if not fact.fields:
        yield "    pass"


def _annotation(field: FieldFacts, module: str, defined: set[str]) -> str:
    if field.go == FIELDS:
        return "_s.Fields"
    text = _python(field.shape, module)
    if field.kind in "pt" and text != "_Any":
        text += " | None"
    target = _target(field.shape)
    forward = target.startswith(module + ".") and target.split(".")[1] not in defined
    return f'"{text}"' if forward else text


def _python(shape: str, module: str) -> str:
    if shape.startswith("[]"):
        return f"_b.list[{_python(shape[2:], module)}]"
    if shape.startswith("{}"):
        return f"_b.dict[_b.str, {_python(shape[2:], module)}]"
    if shape in SCALARS:
        return SCALARS[shape]
    owner, _, name = shape.partition(".")
    return name if owner == module else f"_{owner}.{name}"


def _default(field: FieldFacts, fact: TypeFacts, module: str) -> str:
    if field.go == FIELDS:
        return "_s.NO_FIELDS"
    if field.own:
        return f'_field(default_factory=_s.preset("{_own(field.name, fact)}"))'
    if field.kind == "o":
        return f"_field(default_factory={ZEROS.get(field.shape) or _python(field.shape, module)})"
    if field.kind == "l" and field.shape == "bytes":
        return "_field(default_factory=_b.str)" if field.flag == "!" else '""'
    if field.flag == "!" or (field.kind == "t" and field.flag != "0"):
        return f"_field(default_factory={ALWAYS[field.kind]})"
    return DEFAULTS[field.kind]


def _own(name: str, fact: TypeFacts) -> str:
    group, version, kind = fact.kinds[0] if len(fact.kinds) == 1 else ("", "v1", fact.name)
    return kind if name == "kind" else f"{group}/{version}" if group else version
