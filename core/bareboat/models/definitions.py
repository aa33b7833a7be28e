"""Reads the compressed resource that the build made: facts per type, the published OpenAPI definitions, the table of resources.

Every call reads from the file; nothing is kept here, so that descriptions cost memory only while somebody uses them.
"""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import msgspec


def facts(module: str) -> dict[str, Any]:
    """What is known of each type of a module such as `core_v1`, by type name; see `bareboat.models.schema` for the typed view."""
    decoded: dict[str, Any] = msgspec.json.decode(_read(f"facts/{module}.json"))
    return decoded


def openapi(module: str) -> dict[str, Any]:
    """The published definitions of a module by type name, with descriptions and extensions; `x-name` is the full published name."""
    from bareboat.models import own_definitions

    if module in own_definitions.OWN:
        return own_definitions.openapi(module)
    decoded: dict[str, Any] = msgspec.json.decode(_read(f"openapi/{module}.json"))
    return decoded


def openapi_modules() -> list[str]:
    from bareboat.models import own_definitions

    return [*_members("openapi/"), *own_definitions.OWN]


def modules() -> list[str]:
    """The modules that have types, sorted."""
    return list(_modules())


def resources() -> list[str]:
    """The lines of the table of built-in resources."""
    lines = _read("resources.txt").decode().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@cache
def _modules() -> tuple[str, ...]:
    return tuple(_members("facts/"))


def _members(folder: str) -> list[str]:
    with as_file(files("bareboat_definitions") / "definitions.zip") as path, zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith(folder)]
    return sorted(name.removeprefix(folder).removesuffix(".json") for name in names)


def _read(member: str) -> bytes:
    with as_file(files("bareboat_definitions") / "definitions.zip") as path, zipfile.ZipFile(path) as archive:
        return archive.read(member)
