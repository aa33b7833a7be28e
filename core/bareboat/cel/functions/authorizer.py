"""``authorizer``: asks the cluster's authorizers from within an expression. What is asked is built up in a map, step by step.

Who decides is not known here: ``deciding`` says so for the time of an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from bareboat.cel.functions.function import Function, Opaque, inside, opaque

KIND, DECISION = "kubernetes.authorization.Authorizer", "kubernetes.authorization.Decision"
#: (user, what is asked: verb, group, resource, … or path, selectors as text in fields and labels) → (allowed, reason)
Decide = Callable[[dict[str, Any], dict[str, str]], tuple[bool, str]]
_decide: ContextVar[Decide | None] = ContextVar("decide", default=None)


class Asked(Protocol):
    """As contracts.admission.AdmissionRequest."""

    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: Any


@contextmanager
def deciding(decide: Decide) -> Iterator[None]:
    token = _decide.set(decide)
    try:
        yield
    finally:
        _decide.reset(token)


def authorizer(request: Asked) -> Opaque:
    """The variable of that name; its member ``requestResource`` is what the request itself is about."""
    user = {"name": request.user.name, "groups": list(request.user.groups)}
    about = {"group": request.group, "resource": request.resource, "subresource": request.subresource}
    about |= {"namespace": request.namespace, "name": request.name}
    return {**opaque(KIND, {"user": user}), "requestResource": opaque(KIND, {"user": user, **about})}


def _with(member: str) -> Callable[[Opaque, str], Opaque]:
    return lambda asked, value: opaque(KIND, {**inside(KIND, asked), member: value})


def _resource(asked: Opaque, value: str) -> Opaque:
    return opaque(KIND, {**inside(KIND, asked), "resource": value})


def _service_account(asked: Opaque, namespace: str, name: str) -> Opaque:
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    user = {"name": f"system:serviceaccount:{namespace}:{name}", "groups": groups}
    return opaque(KIND, {**inside(KIND, asked), "user": user})


def _check(asked: Opaque, verb: str) -> Opaque:
    decide = _decide.get()
    if decide is None:
        raise ValueError("nobody can be asked here what is allowed")
    about = dict(inside(KIND, asked))
    try:
        allowed, reason = decide(about.pop("user"), {**about, "verb": verb})
    except ValueError as error:
        return opaque(DECISION, {"allowed": False, "reason": "", "error": str(error)})
    return opaque(DECISION, {"allowed": allowed, "reason": reason, "error": ""})


FUNCTIONS = (
    Function("path", _with("path"), "map string", "map", member=True),
    Function("group", _with("group"), "map string", "map", member=True),
    Function("resource", _resource, "map string", "map", member=True),
    Function("subresource", _with("subresource"), "map string", "map", member=True),
    Function("namespace", _with("namespace"), "map string", "map", member=True),
    Function("name", _with("name"), "map string", "map", member=True),
    Function("fieldSelector", _with("fields"), "map string", "map", member=True),
    Function("labelSelector", _with("labels"), "map string", "map", member=True),
    Function("serviceAccount", _service_account, "map string string", "map", member=True),
    Function("check", _check, "map string", "map", member=True),
    Function("allowed", lambda decision: inside(DECISION, decision)["allowed"], "map", "bool", member=True),
    Function("reason", lambda decision: inside(DECISION, decision)["reason"], "map", "string", member=True),
    Function("errored", lambda decision: bool(inside(DECISION, decision)["error"]), "map", "bool", member=True),
    Function("error", lambda decision: inside(DECISION, decision)["error"], "map", "string", member=True),
)
