"""Policies and their bindings as they come and go, compiled once. Nothing is configured most of the time: then nothing is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bareboat.admission.matching.conditions import Conditions
from bareboat.admission.policies.matching import Match
from bareboat.admission.policies.variables import NAMES, Variables
from bareboat.cel.limits import ExpressionError
from bareboat.contracts.auth import Reader

#: What is compiled of a policy's own part: validations or mutations.
Compile = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """``fault`` says what does not compile; ``own`` is what the kind of policy compiled."""

    name: str
    spec: Any
    match: Match
    conditions: Conditions
    variables: Variables
    own: Any
    fault: str = ""

    @property
    def fails_open(self) -> bool:
        return bool(self.spec.failurePolicy == "Ignore")


@dataclass(frozen=True, slots=True)
class Binding:
    name: str
    spec: Any
    match: Match


class Policies:
    """Of one kind, with its kind of bindings."""

    def __init__(self, reader: Reader, policy: type[Any], binding: type[Any], compile_own: Compile) -> None:
        self._reader = reader
        self._compile_own = compile_own
        self._policies: dict[str, Policy] = {}
        self._bindings: dict[str, Binding] = {}
        self._pairs: list[tuple[Policy, list[Binding]]] = []
        reader.subscribe(policy, lambda _, name: self._put(self._policies, name, policy, self._compiled))
        reader.subscribe(binding, lambda _, name: self._put(self._bindings, name, binding, _binding))

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __iter__(self) -> Iterator[tuple[Policy, list[Binding]]]:
        """By name; only policies that are bound."""
        return iter(self._pairs)

    def _put(self, table: dict[str, Any], name: str, kind: type[Any], make: Callable[[Any], Any]) -> None:
        found = self._reader.get(kind, name)
        if found is None:
            table.pop(name, None)
        else:
            table[name] = make(found)
        self._pairs = []
        for policy in sorted(self._policies):
            bound = [self._bindings[b] for b in sorted(self._bindings) if self._bindings[b].spec.policyName == policy]
            if bound:
                self._pairs.append((self._policies[policy], bound))

    def _compiled(self, found: Any) -> Policy:
        spec, name = found.spec, found.metadata.name
        match = Match(spec.matchConstraints)
        try:
            return Policy(name, spec, match, Conditions(spec.matchConditions, NAMES), Variables(spec.variables), self._compile_own(spec))
        except ExpressionError as error:
            return Policy(name, spec, match, Conditions((), NAMES), Variables(()), None, f"compilation failed: {error}")


def _binding(found: Any) -> Binding:
    return Binding(found.metadata.name, found.spec, Match(found.spec.matchResources))
