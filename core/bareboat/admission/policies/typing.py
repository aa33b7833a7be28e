"""Expressions of a policy against the kinds that it is about, before the first request comes.

In: a ValidatingAdmissionPolicy, the shapes of its kinds, the shape of its parameters. Out: for each expression that names what one of
the kinds does not have, or uses it as what it is not, where it stands and what is wrong with it for which kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bareboat.admission.policies.variables import program
from bareboat.cel.environment import pointed
from bareboat.cel.limits import ExpressionError
from bareboat.cel.shapes import ANY, Shape
from bareboat.cel.typed import REQUEST, of_type
from bareboat.models import core_v1

#: Kinds that are looked at; a policy about more is checked for the first of them.
MOST_KINDS = 10


def warnings(policy: Any, kinds: Mapping[str, Shape], params: Shape = ANY) -> list[tuple[str, str]]:
    """``kinds`` by what messages call them. (path of the expression, what is wrong) of each that has faults."""
    scopes = [(kind, _scope(policy, shape, params)) for kind, shape in sorted(kinds.items())[:MOST_KINDS]]
    found = []
    for path, text in _expressions(policy):
        said = [f"{kind}: {fault}\n" for kind, scope in scopes if (fault := _faults(text, scope))]
        if said:
            found.append((path, "".join(said)))
    return found


def _expressions(policy: Any) -> Iterator[tuple[str, str]]:
    for i, validation in enumerate(policy.spec.validations):
        yield f"spec.validations[{i}].expression", validation.expression
        if validation.messageExpression:
            yield f"spec.validations[{i}].messageExpression", validation.messageExpression


def _scope(policy: Any, shape: Shape, params: Shape) -> dict[str, Shape]:
    declared: dict[str, Shape] = {}
    variables = Shape("object", 1, members=declared.get, element=ANY)
    namespace = of_type(core_v1.Namespace)
    scope = {"object": shape, "oldObject": shape, "request": REQUEST, "authorizer": ANY, "namespaceObject": namespace}
    scope |= {"params": params, "variables": variables}
    for variable in policy.spec.variables:
        try:
            declared[variable.name] = program(variable.expression).estimate(scope).shape
        except ExpressionError:
            declared[variable.name] = ANY
    return scope


def _faults(text: str, scope: dict[str, Shape]) -> str:
    try:
        found = program(text)
    except ExpressionError as error:
        return str(error)
    return "\n".join(pointed(found.spelled, place, said) for place, said in found.estimate(scope).faults)
