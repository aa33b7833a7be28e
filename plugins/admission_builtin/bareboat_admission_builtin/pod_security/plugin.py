"""PodSecurity: pods are refused, noted or warned of by the levels that their namespace's labels name.

In: pods, everything that makes pods (warned of and noted, never refused), and namespaces whose labels change.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.status import Forbidden, Invalid, quote
from bareboat_admission_builtin.options import PodSecurityOptions
from bareboat_admission_builtin.pod_security import baseline, restricted
from bareboat_admission_builtin.pod_security.policy import PREFIX, Policy, Target, defaults, policy_of
from bareboat_admission_builtin.pod_security.violations import Check, Violation
from bareboat_admission_builtin.pods import containers

#: Pods of a namespace that are looked at when its level changes.
MOST_PODS = 3000
PORTION = 64
_TEMPLATES = frozenset(
    {
        *(("", "podtemplates"), ("", "replicationcontrollers"), ("apps", "replicasets"), ("apps", "deployments")),
        *(("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs"), ("batch", "cronjobs")),
    }
)
_IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})


class PodSecurity(AdmissionPlugin):
    name = "PodSecurity"

    def __init__(self, reader: Reader, options: PodSecurityOptions) -> None:
        """Raises ValueError for defaults that are no levels."""
        self._reader = reader
        self._exempt = options.exemptions
        self._default = defaults(options.defaults)
        self._policies: dict[str, tuple[Policy, str]] = {}
        reader.subscribe(core_v1.Namespace, self._changed)

    def _changed(self, _: str, name: str) -> None:
        namespace = self._reader.get(core_v1.Namespace, name)
        if namespace is None:
            self._policies.pop(name, None)
            return
        policy, causes = policy_of(namespace.metadata.labels, self._default)
        self._policies[name] = policy, "; ".join(f"{c.field}: {c.message}" for c in causes)

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        if operation not in ("CREATE", "UPDATE"):
            return False
        if (group, resource) == ("", "pods"):
            return subresource not in _IGNORED
        return not subresource and ((group, resource) in _TEMPLATES or (group, resource) == ("", "namespaces"))

    async def validate(self, request: AdmissionRequest) -> None:
        if request.resource == "namespaces":
            await self._namespace(request)
            return
        policy, fault = self._policies.get(request.namespace, (self._default, ""))
        if (policy.idle and not fault) or self._is_exempt(request):
            return
        if request.resource != "pods":
            template = _template(request.object)
            if template is not None:
                self._evaluate(request, policy, fault, template.metadata, template.spec, enforce=False)
        elif request.operation == "CREATE" or _significant(request.object, request.old):
            self._evaluate(request, policy, fault, request.object.metadata, request.object.spec, enforce=True)

    def _is_exempt(self, request: AdmissionRequest) -> bool:
        return request.namespace in self._exempt.namespaces or request.user.name in self._exempt.usernames

    def _evaluate(self, request: AdmissionRequest, policy: Policy, fault: str, metadata: Any, spec: Any, *, enforce: bool) -> None:
        if spec.runtimeClassName and spec.runtimeClassName in self._exempt.runtimeClasses:
            return
        notes, annotations = request.annotations, metadata.annotations if metadata is not None else {}
        if fault:
            notes[f"{PREFIX}error"] = f"Failed to parse policy: {fault}"
        refused = ""
        if enforce:
            refused = _sentence(policy.enforce, annotations, spec)
            notes[f"{PREFIX}enforce-policy"] = str(policy.enforce)
        noted = _sentence(policy.audit, annotations, spec)
        if noted:
            notes[f"{PREFIX}audit-violations"] = f"would violate {noted}"
        if refused:
            raise Forbidden.of(request.resource, request.name, group=request.group, because=f"violates {refused}")
        warned = _sentence(policy.warn, annotations, spec)
        if warned:
            request.warnings.append(f"would violate {warned}")

    async def _namespace(self, request: AdmissionRequest) -> None:
        new, causes = policy_of(request.object.metadata.labels, self._default)
        old, before = policy_of(request.old.metadata.labels, self._default) if request.old is not None else (new, [])
        if causes and causes != before:
            raise Invalid("Namespace", request.name, causes)
        if new.enforce == old.enforce or not new.enforce.rank or request.name in self._exempt.namespaces:
            return
        if new.enforce.version == old.enforce.version and new.enforce.rank <= old.enforce.rank:
            return
        await self._warn_of_pods(request, new.enforce)

    async def _warn_of_pods(self, request: AdmissionRequest, target: Target) -> None:
        """The pods that are there stay; whoever sets the level learns which would not be let in again."""
        found: dict[str, list[str]] = {}
        count = 0
        for pod in self._reader.list(core_v1.Pod, request.name):
            count += 1
            if count > MOST_PODS:
                continue
            if pod.spec.runtimeClassName not in self._exempt.runtimeClasses:
                what = ", ".join(v.reason for v in violations(target, pod.metadata.annotations, pod.spec))
                if what:
                    found.setdefault(what, []).append(pod.metadata.name)
            if count % PORTION == 0:
                await asyncio.sleep(0)
        if found:
            head = f"existing pods in namespace {quote(request.name)} violate the new PodSecurity enforce level {quote(str(target))}"
            request.warnings.append(head)
        request.warnings += sorted(f"{_names(names)}: {what}" for what, names in found.items())
        if count > MOST_PODS:
            request.warnings.append(f"new PodSecurity enforce level only checked against the first {MOST_PODS} of {count} existing pods")


def violations(target: Target, annotations: dict[str, str], spec: Any) -> list[Violation]:
    found = (check(annotations, spec) for check in _checks(target.level, target.version))
    return [violation for violation in found if violation is not None]


def _sentence(target: Target, annotations: dict[str, str], spec: Any) -> str:
    if not target.rank:
        return ""
    found = violations(target, annotations, spec)
    return f'PodSecurity "{target}": {", ".join(str(v) for v in found)}' if found else ""


@cache
def _checks(level: str, version: int) -> tuple[Check, ...]:
    if level == "privileged":
        return ()
    more = [(name, make) for name, since, make in restricted.CHECKS if since <= version] if level == "restricted" else []
    replaced = {restricted.REPLACES.get(name) for name, _ in more}
    base = [(name, make) for name, since, make in baseline.CHECKS if since <= version and name not in replaced]
    return tuple(make(version) for _, make in [*base, *more])


def _template(obj: Any) -> Any:
    spec = getattr(obj, "spec", None)
    if spec is None:
        return obj.template
    template = getattr(spec, "template", None)
    return template if template is not None or not hasattr(spec, "jobTemplate") else spec.jobTemplate.spec.template


def _significant(new: core_v1.Pod, old: core_v1.Pod) -> bool:
    """Whether an update changed anything that a level looks at and that may change at all."""
    if new.metadata.annotations != old.metadata.annotations:
        return True
    images = [{path: c.image for path, c in containers(pod.spec)} for pod in (new, old)]
    return images[0] != images[1]


def _names(names: list[str]) -> str:
    first, others = min(names), len(names) - 1
    if not others:
        return first
    return f"{first} (and {others} other pod{'s' if others > 1 else ''})"
