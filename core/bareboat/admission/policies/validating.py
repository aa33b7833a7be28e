"""ValidatingAdmissionPolicy: expressions that must be true; each binding says whether to refuse, to warn or to note where one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from bareboat.admission.matching.rules import EXEMPT, GROUP
from bareboat.admission.policies.deciding import decider
from bareboat.admission.policies.evaluation import Case, Evaluation
from bareboat.admission.policies.policies import Policies
from bareboat.admission.policies.variables import evaluate, program
from bareboat.cel.environment import Program
from bareboat.cel.functions.authorizer import deciding
from bareboat.cel.limits import ExpressionError, OutOfBudget
from bareboat.contracts.admission import POLICY, AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import admissionregistration_v1
from bareboat.models.status import ApiError, Forbidden

NOTED = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413, "Unauthorized": 401}


@dataclass(frozen=True, slots=True)
class _Own:
    validations: list[tuple[Any, Program, Program | None]]
    annotations: list[tuple[str, Program]]


class Failure(NamedTuple):
    place: int
    message: str
    reason: str


def _compiled(spec: Any) -> _Own:
    """Raises ExpressionError."""
    validations = [(v, program(v.expression), program(v.messageExpression) if v.messageExpression else None) for v in spec.validations]
    return _Own(validations, [(a.key, program(a.valueExpression)) for a in spec.auditAnnotations])


class ValidatingAdmissionPolicy(AdmissionPlugin):
    name = "ValidatingAdmissionPolicy"
    stage = POLICY

    def __init__(self, reader: Reader, host: AdmissionHost) -> None:
        models = admissionregistration_v1
        self._policies = Policies(reader, models.ValidatingAdmissionPolicy, models.ValidatingAdmissionPolicyBinding, _compiled)
        self._evaluation = Evaluation(reader, host, self._policies)
        self._decide = decider(host)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        del operation, subresource
        return group != GROUP or resource not in EXEMPT

    async def validate(self, request: AdmissionRequest) -> None:
        if not self._policies:
            return
        refusal: ApiError | None = None
        with deciding(self._decide):
            async for case in self._evaluation.cases(request):
                for failure in _failures(case):
                    refused = _act(case, failure, request)
                    refusal = refusal or refused
                _annotate(case, request)
        if refusal is not None:
            raise refusal


def _failures(case: Case) -> Iterator[Failure]:
    """What cannot be evaluated counts as failed unless the policy ignores that."""
    if case.fault:
        if not case.policy.fails_open:
            yield Failure(0, case.fault, "Invalid")
        return
    for index, (validation, expression, told) in enumerate(case.policy.own.validations):
        try:
            if evaluate(expression, case.values, case.failed, case.budget) is not True:
                yield Failure(index, _message(case, validation, told), validation.reason or "Invalid")
        except OutOfBudget as error:
            if not case.policy.fails_open:
                yield Failure(index, str(error), "Invalid")
            return
        except ExpressionError as error:
            if not case.policy.fails_open:
                yield Failure(index, f"expression '{validation.expression.strip()}' resulted in error: {error}", "Invalid")


def _message(case: Case, validation: Any, told: Program | None) -> str:
    """The messageExpression's if it gives a usable one, else the message, else the expression itself."""
    try:
        found = evaluate(told, case.values, case.failed, case.budget) if told is not None else ""
    except ExpressionError:
        found = ""  # upstream falls back to the message, too
    if isinstance(found, str) and found.strip() and "\n" not in found.strip():
        return found.strip()
    return str(validation.message).strip() or f"failed expression: {validation.expression.strip()}"


def _act(case: Case, failure: Failure, request: AdmissionRequest) -> ApiError | None:
    policy, binding = case.policy.name, case.binding.name
    actions = case.binding.spec.validationActions
    if "Warn" in actions:
        request.warnings.append(f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {failure.message}")
    if "Audit" in actions:
        _note(case, failure, request)
    if "Deny" not in actions:
        return None
    because = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {failure.message}"
    error = Forbidden.of(request.resource, request.name, group=request.group, because=because)
    error.code, error.reason = _CODES.get(failure.reason, 422), failure.reason
    error.details = {**(error.details or {}), "causes": [{"message": because}]}
    return error


def _note(case: Case, failure: Failure, request: AdmissionRequest) -> None:
    noted: list[dict[str, Any]] = msgspec.json.decode(request.annotations.get(NOTED, "[]"))
    found = {
        "message": failure.message,
        "policy": case.policy.name,
        "binding": case.binding.name,
        "expressionIndex": failure.place,
        "validationActions": case.binding.spec.validationActions,
    }
    request.annotations[NOTED] = msgspec.json.encode([*noted, found]).decode()


def _annotate(case: Case, request: AdmissionRequest) -> None:
    if case.fault:
        return
    for key, expression in case.policy.own.annotations:
        name = f"{case.policy.name}/{key}"
        try:
            value = evaluate(expression, case.values, case.failed, case.budget)
        except ExpressionError as error:
            value = f"failed to evaluate: {error}"
        if isinstance(value, str) and value.strip():
            known = request.annotations.get(name)
            request.annotations[name] = value.strip() if known in (None, value.strip()) else f"{known}, {value.strip()}"
