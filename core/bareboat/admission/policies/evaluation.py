"""What both kinds of policies share: for a request every policy that concerns it, with its binding, its parameters and the values.

In: a request. Out: one ``Case`` after the other, ready for the policy's own expressions. What cannot be set up raises ``PolicyFailed``,
which names policy and binding; whether that refuses the request is the failure policy's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from bareboat.admission.matching.conditions import ConditionError
from bareboat.admission.matching.variables import kind_of, namespace_tree, request_tree, trees
from bareboat.admission.policies.policies import Binding, Policies, Policy
from bareboat.admission.policies.variables import Values
from bareboat.cel.functions.authorizer import authorizer
from bareboat.cel.limits import Budget, OutOfBudget
from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.contracts.auth import Reader
from bareboat.models.selectors import from_label_selector

NOTHING_FOUND = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"


@dataclass(slots=True)
class Case:
    """``failed`` names variables that could not be evaluated; ``fault`` is why the case cannot be judged at all."""

    policy: Policy
    binding: Binding
    version: tuple[str, str]
    values: Values = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    budget: Budget = field(default_factory=Budget)


class Evaluation:
    def __init__(self, reader: Reader, host: AdmissionHost, policies: Policies) -> None:
        self._reader = reader
        self._host = host
        self._policies = policies

    async def cases(self, request: AdmissionRequest) -> AsyncIterator[Case]:
        """The object is read anew for each, so that a case sees what the one before it changed."""
        for policy, bindings in list(self._policies):
            version = policy.match.version(request, self._reader, self._host)
            if version is None:
                continue
            for binding in bindings:
                if binding.match.version(request, self._reader, self._host) is not None:
                    async for case in self._of(policy, binding, version, request):
                        yield case

    async def _of(self, policy: Policy, binding: Binding, version: tuple[str, str], request: AdmissionRequest) -> AsyncIterator[Case]:
        if policy.fault:
            yield Case(policy, binding, version, fault=policy.fault)
            return
        try:
            found = await self._params(policy, binding, request)
        except ValueError as error:
            yield Case(policy, binding, version, fault=f"failed to configure binding: {error}")
            return
        if found is None:
            if binding.spec.paramRef.parameterNotFoundAction != "Allow":
                yield Case(policy, binding, version, fault=NOTHING_FOUND)
            return
        for params in found:
            await asyncio.sleep(0)  # there may be thousands, and others wait
            case = Case(policy, binding, version, await self._values(request, version, params))
            try:
                if not policy.conditions.hold(case.values):
                    continue
            except ConditionError as error:
                case.fault = str(error)
            if not case.fault:
                try:
                    case.failed = policy.variables.fill(case.values, case.budget)
                except OutOfBudget as error:
                    case.fault = str(error)
            yield case

    async def _values(self, request: AdmissionRequest, version: tuple[str, str], params: Any) -> Values:
        new, old = await trees(self._host, request, *version)
        return {
            "object": new,
            "oldObject": old,
            "request": request_tree(request, *version, kind_of(request)),
            "authorizer": authorizer(request),
            "namespaceObject": namespace_tree(request, self._reader),
            "params": params,
            "variables": {},
        }

    async def _params(self, policy: Policy, binding: Binding, request: AdmissionRequest) -> list[Any] | None:
        """[None] where there is nothing to look up; None where there should be something and is not."""
        kind, reference = policy.spec.paramKind, binding.spec.paramRef
        if kind is None or reference is None:
            return [None]
        selector = from_label_selector(reference.selector) if reference.selector is not None else None
        namespace = reference.namespace or request.namespace
        found = await self._host.objects(kind.apiVersion, kind.kind, namespace, reference.name, selector)
        return list(found) or None
