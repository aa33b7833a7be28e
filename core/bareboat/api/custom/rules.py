"""``x-kubernetes-validations``: rules in CEL, at every level of a schema that has some.

``self`` is the value at the level, ``oldSelf`` what it was, where the two can be told to be the same thing. A rule that names
``oldSelf`` runs on updates only, unless ``optionalOldSelf`` asks otherwise. A rule that fails on a value that did not change is
no fault.
"""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.custom.checks import by_key, key_of
from bareboat.api.custom.schema import MISSING, Schema, Tree
from bareboat.api.custom.views import needs_view, view
from bareboat.api.kinds.causes import forbidden, invalid, required
from bareboat.cel.environment import ExpressionError, compiled
from bareboat.models.status import Cause

_VARIABLES = ("self", "oldSelf")
_OLD = re.compile(r"\boldSelf\b")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[\s*'([^']*)'\s*\]|\.?\[\s*\"([^\"]*)\"\s*\]")


class Rule:
    """One rule, compiled when it is first used."""

    __slots__ = ("field", "message", "optional", "reason", "text", "transition", "words")

    def __init__(self, tree: Tree) -> None:
        self.text: str = tree["rule"].strip()
        self.optional: bool = tree.get("optionalOldSelf") or False
        self.transition = _OLD.search(self.text) is not None
        self.reason: str = tree.get("reason") or "FieldValueInvalid"
        self.message: str = (tree.get("message") or "").strip() or f"failed rule: {self.text}"
        self.words: str = (tree.get("messageExpression") or "").strip()
        self.field: str = _plain_path(tree.get("fieldPath") or "")

    def faults(self, value: Any, old: Any, at: str, kind: str) -> Cause | None:
        """``old`` MISSING where there is none."""
        known = old is not MISSING
        if self.transition and not known and not self.optional:
            return None
        variables = {"self": value, "oldSelf": old if known else None}
        try:
            held = compiled(self._bound(self.text, known), _VARIABLES).evaluate(variables)
        except ExpressionError as error:
            said = "rule compile error: " + str(error) if _is_syntax(error) else f"{error} evaluating rule: {self.text}"
            return invalid(at, kind, said)
        if held is True:
            return None
        return self._cause(at + self.field if at else self.field.lstrip("."), self._told(variables, known), kind)

    def _bound(self, text: str, known: bool) -> str:
        if not self.optional or not self.transition:
            return text
        return f"cel.bind(oldSelf, {'optional.of(oldSelf)' if known else 'optional.none()'}, {text})"

    def _told(self, variables: dict[str, Any], known: bool) -> str:
        """What the message expression says, if it says something fit for a message."""
        if not self.words:
            return self.message
        try:
            said = compiled(self._bound(self.words, known), _VARIABLES).evaluate(variables)
        except ExpressionError:
            return self.message
        if not isinstance(said, str) or not said.strip() or "\n" in said or len(said) > 5 * 1024:
            return self.message
        return said.strip()

    def _cause(self, at: str, message: str, kind: str) -> Cause:
        if self.reason == "FieldValueRequired":
            return required(at, message)
        if self.reason == "FieldValueForbidden":
            return forbidden(at, message)
        if self.reason == "FieldValueDuplicate":
            return Cause("FieldValueDuplicate", f'Duplicate value: "{kind}"', at)
        return invalid(at, kind, message)


def _is_syntax(error: ExpressionError) -> bool:
    return str(error).startswith("ERROR: <input>")


def _plain_path(path: str) -> str:
    """A field path as causes spell it: `.spec.replicas`, `.items[name]`."""
    return "".join(f".{dotted}" if dotted else f"[{quoted or other}]" for dotted, quoted, other in _STEP.findall(path))


class Rules:
    """All rules of one schema; levels without rules at or below them are not walked."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._at: dict[int, tuple[list[Rule], bool]] = {}
        self._below: set[int] = set()
        self.some = self._gather(schema)

    def _gather(self, schema: Schema) -> bool:
        if schema.rules:
            self._at[id(schema)] = ([Rule(tree) for tree in schema.rules], needs_view(schema))
        below = [*schema.properties.values(), schema.items, schema.additional]
        found = [self._gather(s) for s in below if isinstance(s, Schema)]
        if any(found):
            self._below.add(id(schema))
        return bool(schema.rules) or any(found)

    def faults(self, value: Any, old: Any = MISSING) -> list[Cause]:
        """``old`` MISSING on a create."""
        causes: list[Cause] = []
        if self.some:
            self._walk(value, old, self._schema, "", causes)
        return causes

    def _walk(self, value: Any, old: Any, schema: Schema, at: str, causes: list[Cause]) -> None:
        if value is None:
            return
        found = self._at.get(id(schema))
        if found is not None:
            causes += self._here(value, old, schema, at, found)
        if id(schema) not in self._below:
            return
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, item in value.items():
                below = schema.property(name)
                if below is not None:
                    self._walk(item, before.get(name, MISSING), below, f"{at}.{name}" if at else name, causes)
        elif isinstance(value, list) and schema.items is not None:
            before = by_key(old, schema) if isinstance(old, list) and schema.list_type == "map" else {}
            for index, item in enumerate(value):
                was = before.get(key_of(item, schema), MISSING) if before else MISSING
                self._walk(item, was, schema.items, f"{at}[{index}]", causes)

    def _here(self, value: Any, old: Any, schema: Schema, at: str, found: tuple[list[Rule], bool]) -> list[Cause]:
        rules, shown = found
        unchanged = old is not MISSING and old == value
        seen = view(value, schema) if shown else value
        was = view(old, schema) if shown and old is not MISSING else old
        kind = schema.kind or "object"
        causes = [rule.faults(seen, was, at, kind) for rule in rules if rule.transition or not unchanged]
        return [cause for cause in causes if cause is not None]
