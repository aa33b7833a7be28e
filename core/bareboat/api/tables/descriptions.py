"""What the header of a column says of it: mostly the published description of the field that it shows."""

from __future__ import annotations

from functools import cache
from importlib import resources

from bareboat.models import definitions

_EVERYWHERE = {
    "Name": "=meta_v1.ObjectMeta.name",
    "Age": "=meta_v1.ObjectMeta.creationTimestamp",
    "Created At": "=meta_v1.ObjectMeta.creationTimestamp",
}
#: Where the header of a role reference ends though the field's description goes on.
_END = " This field is immutable."


def describe(resource: str, column: str) -> str:
    """``resource`` as in ``apps/v1/deployments``. "" where nothing is known."""
    text = _table().get((resource, column), _EVERYWHERE.get(column, ""))
    if not text.startswith("="):
        return text
    return _published(text[1:]).removesuffix(_END) if column == "Role" else _published(text[1:])


@cache
def _table() -> dict[tuple[str, str], str]:
    text = resources.files("bareboat.api.tables").joinpath("descriptions.txt").read_text()
    rows = (line.split(" | ", 2) for line in text.splitlines() if line and not line.startswith("#"))
    return {(resource, column): said for resource, column, said in rows}


@cache
def _published(field: str) -> str:
    module, kind, name = field.split(".")
    found: str = definitions.openapi(module)[kind]["properties"][name].get("description", "")
    return found
