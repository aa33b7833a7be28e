"""Fields that a rule names and its schema does not have: found when the definition is written, not when the first object fails.

Chains of members that begin with ``self`` or ``oldSelf`` are followed as far as the schema describes them; what comes out of lists,
calls and free-form levels is not known here and not looked at.
"""

from __future__ import annotations

import re

from bareboat.api.custom.schema import Schema, compiled
from bareboat.api.custom.views import escaped

_CHAIN = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\s*\.\s*[A-Za-z_]\w*)+)\s*(\()?")
_STEP = re.compile(r"\.\s*([A-Za-z_]\w*)")
_TEXT = re.compile(r"""[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|//[^\n]*""", re.DOTALL)
_TYPE = {name: compiled({"type": "string"}) for name in ("apiVersion", "kind")}
_NAMES = compiled({"type": "object", "properties": {name: {"type": "string"} for name in ("name", "generateName")}})


def undefined(text: str, schema: Schema, *, root: bool) -> str:
    """The compiler's message about the first such field; "" if there is none."""
    plain = _TEXT.sub(lambda found: " " * len(found[0]), text)
    for chain in _CHAIN.finditer(plain):
        steps = list(_STEP.finditer(plain, chain.start(1), chain.end(1)))
        if chain[2]:
            steps.pop()  # the name of a method
        at: Schema | None = schema
        for number, step in enumerate(steps):
            if at is None or not _is_closed(at):
                break
            name = step[1]
            at = _below(at, name, resource=at.embedded or (root and number == 0))
            if at is None:
                return _message(text, step.start(), name)
    return ""


def _is_closed(schema: Schema) -> bool:
    """Whether its members are those in ``properties`` and no others."""
    return schema.kind == "object" and bool(schema.properties) and not schema.preserve and schema.additional is None


def _below(schema: Schema, name: str, *, resource: bool) -> Schema | None:
    found = next((child for key, child in schema.properties.items() if escaped(key) == name), None)
    if resource and name == "metadata":
        return _NAMES if found is None or not found.properties else found
    return found if found is not None or not resource else _TYPE.get(name)


def _message(text: str, place: int, name: str) -> str:
    before = text[:place]
    row, start = before.count("\n"), before.rfind("\n") + 1
    line = text[start:].partition("\n")[0]
    return f"ERROR: <input>:{row + 1}:{place - start + 1}: undefined field '{name}'\n | {line}\n | {'.' * (place - start)}^"
