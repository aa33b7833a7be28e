"""MutatingAdmissionPolicy: expressions that give a configuration to apply, or a JSON patch."""

from __future__ import annotations

from typing import Any

from bareboat.admission.matching.rules import EXEMPT, GROUP
from bareboat.admission.policies.deciding import decider
from bareboat.admission.policies.evaluation import Case, Evaluation
from bareboat.admission.policies.policies import Policies
from bareboat.admission.policies.variables import evaluate, program
from bareboat.cel.environment import Program
from bareboat.cel.functions.authorizer import deciding
from bareboat.cel.limits import ExpressionError
from bareboat.contracts.admission import POLICY, AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import admissionregistration_v1
from bareboat.models.codec import DecodeError
from bareboat.models.status import ApiError, Forbidden

_KEPT = ("uid", "namespace", "name", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields")


def _compiled(spec: Any) -> list[tuple[str, Program]]:
    """(patchType, expression) each. Raises ExpressionError."""
    return [(m.patchType, program((m.applyConfiguration or m.jsonPatch).expression)) for m in spec.mutations]


class MutatingAdmissionPolicy(AdmissionPlugin):
    name = "MutatingAdmissionPolicy"
    shallow = True
    stage = POLICY

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        models = admissionregistration_v1
        self._host = host
        self._policies = Policies(reader, models.MutatingAdmissionPolicy, models.MutatingAdmissionPolicyBinding, _compiled)
        self._evaluation = Evaluation(reader, host, self._policies)
        self._decide = decider(host)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del subresource
        return operation in ("CREATE", "UPDATE") and (group != GROUP or resource not in EXEMPT)

    async def mutate(self, request: AdmissionRequest) -> None:
        await self._run(request, again=False)

    async def remutate(self, request: AdmissionRequest) -> None:
        await self._run(request, again=True)

    async def _run(self, request: AdmissionRequest, *, again: bool) -> None:
        if not self._policies:
            return
        with deciding(self._decide):
            async for case in self._evaluation.cases(request):
                if not again or case.policy.spec.reinvocationPolicy == "IfNeeded":
                    await self._apply(case, request)

    async def _apply(self, case: Case, request: AdmissionRequest) -> None:
        """All mutations of the policy or, if one fails, none. Raises Forbidden unless the policy fails open."""
        try:
            if case.fault:
                raise ExpressionError(case.fault)
            before = tree = case.values["object"]
            for kind, expression in case.policy.own:
                tree = self._mutated(request, tree, kind, evaluate(expression, {**case.values, "object": tree}, case.failed, case.budget))
            if tree != before:
                await self._take(case, request, tree)
        except (ExpressionError, ApiError, DecodeError) as error:
            if not case.policy.fails_open:
                because = f"policy '{case.policy.name}' with binding '{case.binding.name}' denied request: {error}"
                raise Forbidden.of(request.resource, request.name, group=request.group, because=because) from error

    def _mutated(self, request: AdmissionRequest, tree: dict[str, Any], kind: str, found: Any) -> dict[str, Any]:
        """Raises ExpressionError, ApiError."""
        if kind == "JSONPatch":
            if not isinstance(found, list):
                raise ExpressionError("the expression gives no list of JSON patch operations")
            return self._host.patched(tree, [{"op": "", "path": "", **operation} for operation in found])
        if not isinstance(found, dict):
            raise ExpressionError("the expression gives no apply configuration")
        return self._host.merged(request, tree, found)

    async def _take(self, case: Case, request: AdmissionRequest, tree: dict[str, Any]) -> None:
        group, version = case.version
        own = case.version == (request.group, request.version)
        changed = await self._host.object(request, tree, "" if own else f"{group}/{version}" if group else version)
        for field in _KEPT:
            setattr(changed.metadata, field, getattr(request.object.metadata, field))
        request.object = changed
        request.reinvoke = True
