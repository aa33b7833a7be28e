"""What ``authorizer`` in an expression asks: the cluster's authorizers, at once. They answer from memory and never wait."""

from __future__ import annotations

from typing import Any

from bareboat.cel.functions.authorizer import Decide
from bareboat.contracts.admission import AdmissionHost
from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.contracts.selection import field_requirements, label_requirements


def decider(host: AdmissionHost) -> Decide:
    """Raises ValueError, when used, for an authorizer that would have to wait."""

    def decide(user: dict[str, Any], about: dict[str, str]) -> tuple[bool, str]:
        what: dict[str, Any] = dict(about)
        what["fields"] = field_requirements(about.get("fields", ""))
        what["labels"] = label_requirements(about.get("labels", ""))
        attributes = Attributes(user=UserInfo(name=user["name"], groups=tuple(user["groups"])), **what)
        asking = host.authorize(attributes)
        try:
            asking.send(None)
        except StopIteration as answered:
            return answered.value.verdict == "Allow", answered.value.reason
        asking.close()
        raise ValueError("the authorizer cannot answer at once")

    return decide
