"""Tokens that an agent may ask for: of a pod that runs on its node, for an audience that the pod names, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bareboat.contracts.admission import AdmissionHost, AdmissionRequest
from bareboat.contracts.auth import Attributes, Reader
from bareboat.models import core_v1, storage_v1

VERB = "request-serviceaccounts-token-audience"


async def token_fault(request: AdmissionRequest, node: str, reader: Reader, host: AdmissionHost) -> str:
    """Why the token is not given; "" if it is."""
    bound = request.object.spec.boundObjectRef
    if bound is None or bound.kind != "Pod" or bound.apiVersion != "v1" or not bound.name:
        return "node requested token not bound to a pod"
    if not bound.uid:
        return f'node requested token with a pod binding without a uid: "{bound.name}"'
    pod = reader.get(core_v1.Pod, bound.name, request.namespace)
    if pod is None:
        return f'pod "{bound.name}" not found'
    if pod.metadata.uid != bound.uid:
        return f"the UID in the bound object reference ({bound.uid}) does not match the UID in record"
    if pod.spec.nodeName != node:
        return f'node requested token bound to a pod scheduled on a different node: "{bound.name}"'
    return await _audience_fault(request, pod, reader, host)


async def _audience_fault(request: AdmissionRequest, pod: core_v1.Pod, reader: Reader, host: AdmissionHost) -> str:
    audiences = request.object.spec.audiences
    if len(audiences) > 1:
        return "node may only request 0 or 1 audiences"
    wanted = audiences[0] if audiences else ""
    if wanted in _named(pod, reader):
        return ""
    asked = Attributes(user=request.user, verb=VERB, resource=wanted, namespace=request.namespace, name=request.name)
    if wanted and (await host.authorize(asked)).verdict == "Allow":
        return ""
    return f'audience "{wanted}" not found in pod spec volume'


def _named(pod: core_v1.Pod, reader: Reader) -> set[str]:
    """Audiences of the pod's projected tokens, and of the CSI drivers of its volumes."""
    found = set()
    for volume in pod.spec.volumes:
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.serviceAccountToken is not None:
                found.add(source.serviceAccountToken.audience or "")
    for driver in _drivers(pod, reader):
        known = reader.get(storage_v1.CSIDriver, driver)
        found |= {request.audience or "" for request in known.spec.tokenRequests} if known is not None else set()
    return found


def _drivers(pod: core_v1.Pod, reader: Reader) -> Iterator[str]:
    for volume in pod.spec.volumes:
        if volume.csi is not None:
            yield volume.csi.driver
        claim = _claim_of(volume, pod)
        bound: Any = reader.get(core_v1.PersistentVolumeClaim, claim, pod.metadata.namespace) if claim else None
        held = reader.get(core_v1.PersistentVolume, bound.spec.volumeName) if bound is not None and bound.spec.volumeName else None
        if held is not None and held.spec.csi is not None:
            yield held.spec.csi.driver


def _claim_of(volume: core_v1.Volume, pod: core_v1.Pod) -> str:
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""
