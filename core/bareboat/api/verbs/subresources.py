"""Subresources of stored objects: parts (status, resize, approval …), scale, binding, eviction, finalize.

Those that need an agent, a token issuer or an authorizer (log, exec, proxy, token, reviews) are ``Service.virtual``; the
assembly puts them there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bareboat.api import answers, body
from bareboat.api.custom import scaling
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.strategy import SubresourceStrategy
from bareboat.api.verbs import scale
from bareboat.api.verbs.eviction import evict
from bareboat.api.verbs.patch import patch_part
from bareboat.api.verbs.read import get
from bareboat.api.verbs.update import TRIES, update_part
from bareboat.api.writing import admission_request, check_name
from bareboat.models import core_v1
from bareboat.models.codec import decode, encode
from bareboat.models.meta import set_condition
from bareboat.models.status import BadRequest, Conflict, NotFound, ServiceUnavailable
from bareboat.store.entry import head
from bareboat.store.log import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service


async def run_subresource(service: Service, op: Operation) -> ApiResponse:
    name = op.info.subresource
    if name == "scale":
        return await (scale.run if op.custom is None else scaling.run)(service, op)
    if name == "binding":
        return await bind(service, op, op.info.name)
    if name == "eviction":
        return await evict(service, op)
    part = op.strategy.subresources.get(name)
    if part is None:
        raise ServiceUnavailable(f"{op.resource.plural}/{name} needs a part of the server that is not running here")
    return await _part(service, op, part)


async def _part(service: Service, op: Operation, part: SubresourceStrategy) -> ApiResponse:
    if op.info.verb == "get":
        return await get(service, op)
    if op.info.verb == "patch":
        return await patch_part(service, op, part)
    return await update_part(service, op, part)


async def bind(service: Service, op: Operation, pod_name: str) -> ApiResponse:
    """POST pods/NAME/binding: the scheduler's write. Conflict if the pod is bound or going."""
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
        pod = decode(core_v1.Pod, current.data)
        _check_bindable(pod, binding)
        pod.spec.nodeName = binding.target.name
        pod.status.nominatedNodeName = ""
        pod.metadata.annotations = {**pod.metadata.annotations, **binding.metadata.annotations}
        pod.metadata.labels = {**binding.metadata.labels, **pod.metadata.labels}
        conditions = pod.status.conditions
        set_condition(conditions, "PodScheduled", "True", "", "", op.clock.timestamp(), cls=core_v1.PodCondition)
        if op.dry_run:
            break
        try:
            await service.log.write(key, _pod_bytes(pod), expect=current.revision)
            break
        except CompareFailed:
            continue
    return answers.tree({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, status=201)


def _pod_bytes(pod: core_v1.Pod) -> bytes:
    pod.metadata.resourceVersion = ""
    return b"{" + encode(pod)[len(head("Pod", "v1")) :]


def _check_target(binding: core_v1.Binding) -> None:
    target = binding.target
    if target.kind not in ("", "Node"):
        raise BadRequest(f'target.kind: Unsupported value: "{target.kind}": supported values: "Node", "<empty>"')
    if not target.name:
        raise BadRequest("target.name: Required value")


def _check_bindable(pod: core_v1.Pod, binding: core_v1.Binding) -> None:
    name = pod.metadata.name
    if binding.metadata.uid and binding.metadata.uid != pod.metadata.uid:
        because = f"Precondition failed: UID in precondition: {binding.metadata.uid}, UID in object meta: {pod.metadata.uid}"
        raise Conflict.of("pods/binding", name, because=because)
    if pod.metadata.deletionTimestamp:
        raise Conflict.of("pods/binding", name, because=f"pod {name} is being deleted, cannot be assigned to a host")
    if pod.spec.nodeName:
        raise Conflict.of("pods/binding", name, because=f'pod {name} is already assigned to node "{pod.spec.nodeName}"')
    if pod.spec.schedulingGates:
        raise Conflict.of("pods/binding", name, because=f"pod {name} has non-empty .spec.schedulingGates")
