"""binding: a Pod gets its node, and with it labels and annotations that admission gave the Binding. The scheduler's write.

Of the stored Pod only the members that this reads or changes are decoded; the others are taken over as the bytes that they are.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bareboat.api import body
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import admission_request, check_name
from bareboat.models import core_v1, meta_v1, scalars
from bareboat.models.meta import set_condition
from bareboat.models.status import BadRequest, Conflict, NotFound
from bareboat.store.entry import head
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service

_DONE = msgspec.json.encode({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


async def bind(service: Service, op: Operation, pod_name: str) -> ApiResponse:
    """POST pods/NAME/binding. Conflict if the pod is bound or going."""
    binding = body.read(op, core_v1.Binding, "Binding", "v1")
    if not op.info.subresource:  # the old form: POST bindings
        pod_name = binding.metadata.name
    else:
        check_name(op, binding)
    _check_target(binding)
    asked = admission_request(op, "CREATE", binding, None, pod_name)
    await service.admission.admit(asked)
    binding = asked.object
    pods = service.scheme.storage("", "pods")
    key = f"{pods.key}/{op.info.namespace}/{pod_name}"
    for _ in range(TRIES):
        current = service.log.newest(key)
        if current is None:
            raise NotFound.of("pods", pod_name)
        stored = _bound(current.data, binding, op.clock.timestamp())
        if op.dry_run:
            break
        try:
            await service.log.write(key, stored, expect=current.revision)
            break
        except CompareFailed:
            continue
    return ApiResponse(201, _DONE)


def _bound(data: bytes, binding: core_v1.Binding, now: str) -> bytes:
    """The stored bytes of the Pod on its node. Raises Conflict."""
    pod = _decoder().decode(data)
    meta, spec, status = pod.metadata, pod.spec, pod.status
    _check_bindable(meta, spec, binding)
    meta.resourceVersion = status.nominatedNodeName = UNSET
    meta.annotations = {**(meta.annotations or {}), **binding.metadata.annotations} or UNSET
    meta.labels = {**binding.metadata.labels, **(meta.labels or {})} or UNSET
    spec.nodeName = binding.target.name
    status.conditions = status.conditions or []
    set_condition(status.conditions, "PodScheduled", "True", "", "", now, cls=core_v1.PodCondition)
    return b"{" + msgspec.json.encode(pod)[len(head("Pod", "v1")) :]


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    texts = dict.fromkeys(("name", "uid", "deletionTimestamp"), str)
    meta = _sliced(meta_v1.ObjectMeta, **texts, labels=dict[str, str], annotations=dict[str, str])
    spec = _sliced(core_v1.PodSpec, nodeName=str, schedulingGates=list[Raw])
    status = _sliced(core_v1.PodStatus, conditions=list[core_v1.PodCondition])
    return msgspec.json.Decoder(_sliced(core_v1.Pod, metadata=meta, spec=spec, status=status), dec_hook=scalars.canonical)


def _sliced(cls: type[msgspec.Struct], **known: Any) -> Any:
    """A type with the members of ``cls`` in their order: the ``known`` ones decoded, the others as bytes."""
    members = [(name, known.get(name, Raw) | UnsetType, UNSET) for name in cls.__struct_fields__]
    return msgspec.defstruct(cls.__name__, members)


def _check_target(binding: core_v1.Binding) -> None:
    target = binding.target
    if target.kind not in ("", "Node"):
        raise BadRequest(f'target.kind: Unsupported value: "{target.kind}": supported values: "Node", "<empty>"')
    if not target.name:
        raise BadRequest("target.name: Required value")


def _check_bindable(meta: Any, spec: Any, binding: core_v1.Binding) -> None:
    name = meta.name
    if binding.metadata.uid and binding.metadata.uid != meta.uid:
        because = f"Precondition failed: UID in precondition: {binding.metadata.uid}, UID in object meta: {meta.uid}"
        raise Conflict.of("pods/binding", name, because=because)
    if meta.deletionTimestamp:
        raise Conflict.of("pods/binding", name, because=f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.nodeName:
        raise Conflict.of("pods/binding", name, because=f'pod {name} is already assigned to node "{spec.nodeName}"')
    if spec.schedulingGates:
        raise Conflict.of("pods/binding", name, because=f"pod {name} has non-empty .spec.schedulingGates")
