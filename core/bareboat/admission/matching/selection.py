"""namespaceSelector and objectSelector: whether the labels of a request's namespace and object are the ones that are meant."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.admission import AdmissionRequest
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.selectors import EVERYTHING, Selector, from_label_selector
from bareboat.models.status import NotFound


def compiled(selector: Any) -> Selector:
    """No selector selects everything."""
    return EVERYTHING if selector is None else from_label_selector(selector)


def namespace_selected(selector: Selector, request: AdmissionRequest, reader: Reader) -> bool:
    """Objects of no namespace are always selected; a namespace by its own labels. Raises NotFound."""
    if selector.empty or (not request.namespace and request.resource != "namespaces"):
        return True
    return selector.matches(namespace_labels(request, reader))


def namespace_labels(request: AdmissionRequest, reader: Reader) -> dict[str, str]:
    if request.resource == "namespaces" and not request.subresource and request.object is not None:
        return dict(request.object.metadata.labels)
    name = request.namespace or request.name
    found = reader.get(core_v1.Namespace, name)
    if found is None:
        raise NotFound.of("namespaces", name)
    return dict(found.metadata.labels)


def object_selected(selector: Selector, request: AdmissionRequest) -> bool:
    """As it was or as it will be."""
    return selector.empty or any(_selected(selector, obj) for obj in (request.object, request.old))


def _selected(selector: Selector, obj: Any) -> bool:
    metadata = getattr(obj, "metadata", None)
    return metadata is not None and selector.matches(metadata.labels)
