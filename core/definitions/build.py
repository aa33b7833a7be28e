"""Build hook: puts the top-level package `bareboat_definitions` into every wheel, editable ones too.

In: the published definitions (kubernetes-validate, a build requirement) and our tables. Out: typed Python modules and one compressed
resource, `definitions.zip`, in a temporary directory that is removed when the wheel is written. Nothing is written into the checkout.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent
INIT = '"""The Kubernetes types, generated when this distribution was built. Read them through `bareboat.models`."""\n'


class DefinitionsHook(BuildHookInterface[Any]):
    """Adds the generated package to what hatchling includes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.generated = tempfile.mkdtemp(prefix="bareboat-definitions-")
        generate(Path(self.generated))
        where = "force_include_editable" if version == "editable" else "force_include"
        build_data.setdefault(where, {})[self.generated] = "bareboat_definitions"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.generated, ignore_errors=True)


def generate(target: Path) -> None:
    """Writes the package into an existing directory."""
    sys.path.insert(0, str(HERE))
    try:
        from bareboat_build import facts, published, source, tables
    finally:
        sys.path.remove(str(HERE))
    definitions = published.load()
    rows = (row for name in ("fields.txt", "extra.txt") for row in tables.read(HERE / "tables" / name))
    types = facts.join(definitions, rows)
    (target / "__init__.py").write_text(INIT)
    (target / "py.typed").touch()
    for name, text in source.modules(types).items():
        (target / f"{name}.py").write_text(text)
    with zipfile.ZipFile(target / "definitions.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(HERE / "tables" / "resources.txt", "resources.txt")
        for name in sorted({fact.module for fact in types.values()}):
            members = {fact.name: fact.as_json() for fact in types.values() if fact.module == name}
            _add(archive, f"facts/{name}.json", members)
        for name, members in _by_module(definitions).items():
            _add(archive, f"openapi/{name}.json", members)


def _by_module(definitions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for key, schema in sorted(definitions.items()):
        if not any(stage in key for stage in ("alpha", "beta")):
            result.setdefault(key.split(".")[0], {})[key.split(".")[1]] = schema
    return result


def _add(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    entry = zipfile.ZipInfo(name)  # a fixed date: equal inputs give equal wheels
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, json.dumps(content, separators=(",", ":")))
