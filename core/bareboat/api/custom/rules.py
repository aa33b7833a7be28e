"""``x-kubernetes-validations``: rules in CEL, at every level of a schema that has some.

``self`` is the value at the level, ``oldSelf`` what it was, where the two can be told to be the same thing. A rule that names
``oldSelf`` runs on updates only, unless ``optionalOldSelf`` asks otherwise. A rule that fails on a value that did not change is
no fault. All rules of one write share a budget: where it ends nothing more is evaluated and the write is refused.
"""

from __future__ import annotations

import re
from typing import Any

from bareboat.api.custom.checks import by_key, key_of
from bareboat.api.custom.schema import MISSING, Schema, Tree
from bareboat.api.custom.views import needs_view, view
from bareboat.api.kinds.causes import forbidden, invalid, required
from bareboat.cel.environment import compiled
from bareboat.cel.limits import CANCELLED, Budget, ExpressionError, OutOfBudget, TooExpensive
from bareboat.models.status import Cause

_VARIABLES = ("self", "oldSelf")
_OLD = re.compile(r"\boldSelf\b")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[\s*'([^']*)'\s*\]|\.?\[\s*\"([^\"]*)\"\s*\]")


class Rule:
    """One rule, compiled when it is first used."""

    __slots__ = ("field", "message", "optional", "reason", "short", "text", "transition", "words")

    def __init__(self, tree: Tree) -> None:
        self.text: str = tree["rule"].strip()
        self.optional: bool = tree.get("optionalOldSelf") or False
        self.transition = _OLD.search(self.text) is not None
        self.reason: str = tree.get("reason") or "FieldValueInvalid"
        self.short: str = (tree.get("message") or "").strip()
        self.message: str = self.short or f"failed rule: {self.text}"
        self.words: str = (tree.get("messageExpression") or "").strip()
        self.field: str = _plain_path(tree.get("fieldPath") or "")

    def faults(self, value: Any, old: Any, at: str, kind: str, budget: Budget) -> Cause | None:
        """``old`` MISSING where there is none. Raises OutOfBudget."""
        known = old is not MISSING
        if self.transition and not known and not self.optional:
            return None
        variables = {"self": value, "oldSelf": old if known else None}
        try:
            held = compiled(self._bound(self.text, known), _VARIABLES).evaluate(variables, budget)
        except OutOfBudget:
            raise
        except ExpressionError as error:
            return invalid(at, kind, self._why(error))
        if held is True:
            return None
        return self._cause(at + self.field if at else self.field.lstrip("."), self._told(variables, known, budget), kind)

    def _why(self, error: ExpressionError) -> str:
        shown = self.short or self.text
        if isinstance(error, TooExpensive) or str(error) == CANCELLED:
            return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
        return "rule compile error: " + str(error) if _is_syntax(error) else f"{error} evaluating rule: {shown}"

    def _bound(self, text: str, known: bool) -> str:
        if not self.optional or not self.transition:
            return text
        return f"cel.bind(oldSelf, {'optional.of(oldSelf)' if known else 'optional.none()'}, {text})"

    def _told(self, variables: dict[str, Any], known: bool, budget: Budget) -> str:
        """What the message expression says, if it says something fit for a message. Raises OutOfBudget."""
        if not self.words:
            return self.message
        try:
            said = compiled(self._bound(self.words, known), _VARIABLES).evaluate(variables, budget)
        except OutOfBudget:
            raise
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
            try:
                self._walk(value, old, self._schema, "", causes, Budget())
            except OutOfBudget as error:
                causes.append(invalid("", self._schema.kind or "object", str(error)))
        return causes

    def _walk(self, value: Any, old: Any, schema: Schema, at: str, causes: list[Cause], budget: Budget) -> None:
        if value is None:
            return
        if id(schema) in self._at:
            self._here(value, old, schema, at, causes, budget)
        if id(schema) not in self._below:
            return
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, item in value.items():
                below = schema.property(name)
                if below is not None:
                    self._walk(item, before.get(name, MISSING), below, f"{at}.{name}" if at else name, causes, budget)
        elif isinstance(value, list) and schema.items is not None:
            before = by_key(old, schema) if isinstance(old, list) and schema.list_type == "map" else {}
            for index, item in enumerate(value):
                was = before.get(key_of(item, schema), MISSING) if before else MISSING
                self._walk(item, was, schema.items, f"{at}[{index}]", causes, budget)

    def _here(self, value: Any, old: Any, schema: Schema, at: str, causes: list[Cause], budget: Budget) -> None:
        rules, shown = self._at[id(schema)]
        unchanged = old is not MISSING and old == value
        seen = view(value, schema) if shown else value
        was = view(old, schema) if shown and old is not MISSING else old
        for rule in rules:
            if rule.transition or not unchanged:
                fault = rule.faults(seen, was, at, schema.kind or "object", budget)
                causes += [] if fault is None else [fault]
