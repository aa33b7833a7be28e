"""Plugins about pods that are off by default: AlwaysPullImages, PodNodeSelector, ExtendedResourceToleration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.selectors import Selector, SelectorError, parse_labels
from bareboat.models.status import Forbidden, InternalError, aggregate
from bareboat_admission_builtin.runtime_class import merged_tolerations

SELECTOR_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
CLUSTER_DEFAULT = "clusterDefaultNodeSelector"


def containers(spec: Any) -> Iterator[tuple[str, Any]]:
    """(path, container) of every container of a pod, init and ephemeral ones included."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(getattr(spec, kind)):
            yield f"spec.{kind}[{index}]", container


class AlwaysPullImages(AdmissionPlugin):
    """Who may not pull an image does not get to run it because it is there already."""

    name = "AlwaysPullImages"
    shallow = True

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and subresource in ("", "ephemeralcontainers")

    async def mutate(self, request: AdmissionRequest) -> None:
        if _same_images(request):
            return
        for _, container in containers(request.object.spec):
            container.imagePullPolicy = "Always"

    async def validate(self, request: AdmissionRequest) -> None:
        if _same_images(request):
            return
        faults = [
            f'{path}.imagePullPolicy: Unsupported value: "{container.imagePullPolicy}": supported values: "Always"'
            for path, container in containers(request.object.spec)
            if container.imagePullPolicy != "Always"
        ]
        if faults:
            raise Forbidden.of("pods", request.name, because=aggregate(faults))


def _same_images(request: AdmissionRequest) -> bool:
    if request.old is None:
        return False
    old = {container.image for _, container in containers(request.old.spec)}
    return all(container.image in old for _, container in containers(request.object.spec))


class PodNodeSelector(AdmissionPlugin):
    """Pods of a namespace stay on the nodes that its annotation, or else the cluster's default, selects."""

    name = "PodNodeSelector"

    def __init__(self, reader: Reader, selectors: Mapping[str, str]) -> None:
        self._reader = reader
        self._selectors = {name: _labels(parse_labels(text), text) for name, text in selectors.items()}

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        wanted = self._of_namespace(request)
        selector = request.object.spec.nodeSelector
        if any(selector.get(key, value) != value for key, value in wanted.items()):
            raise Forbidden.of("pods", request.name, because="pod node label selector conflicts with its namespace node label selector")
        request.object.spec.nodeSelector = {**wanted, **selector}

    async def validate(self, request: AdmissionRequest) -> None:
        await self.mutate(request)
        allowed = self._selectors.get(request.namespace)
        selector = request.object.spec.nodeSelector
        if allowed and any(allowed.get(key, value) != value for key, value in selector.items()):
            raise Forbidden.of("pods", request.name, because="pod node label selector labels conflict with its namespace whitelist")

    def _of_namespace(self, request: AdmissionRequest) -> Mapping[str, str]:
        namespace = self._reader.get(core_v1.Namespace, request.namespace)
        text = namespace.metadata.annotations.get(SELECTOR_ANNOTATION) if namespace is not None else None
        if text is None:
            return self._selectors.get(CLUSTER_DEFAULT, {})
        try:
            return _labels(parse_labels(text), text)
        except ValueError as error:
            raise InternalError.of(error) from error


def _labels(selector: Selector, text: str) -> dict[str, str]:
    """Raises SelectorError for what is more than equal labels."""
    if selector.others:
        raise SelectorError(f"invalid selector: '{text}'; only key=value is allowed")
    return dict(selector.equal)


class ExtendedResourceToleration(AdmissionPlugin):
    """Pods that ask for an extended resource tolerate the taint of its name."""

    name = "ExtendedResourceToleration"
    shallow = True

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        spec = request.object.spec
        wanted = {name for c in [*spec.containers, *spec.initContainers] for name in c.resources.requests if _extended(name)}
        added = [core_v1.Toleration(key=name, operator="Exists") for name in sorted(wanted)]
        if added:
            spec.tolerations = merged_tolerations(spec.tolerations, added)


def _extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and not name.startswith("requests.") and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")
