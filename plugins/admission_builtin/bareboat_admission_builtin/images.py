"""ImagePolicyWebhook (off by default): somebody else's server says which images pods may run."""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin, AdmissionRequest, Operation
from bareboat.models.status import Forbidden
from bareboat_admission_builtin.options import ImagePolicyOptions
from bareboat_admission_builtin.pods import containers

API_VERSION = "imagepolicy.k8s.io/v1alpha1"
SUFFIX = ".image-policy.k8s.io/"
FAILED_OPEN = "alpha.image-policy.k8s.io/failed-open"
_MOST_KEPT = 1024


class _Status(msgspec.Struct):
    allowed: bool = False
    reason: str = ""
    auditAnnotations: dict[str, str] | None = None


class _Review(msgspec.Struct):
    status: _Status


_decode = msgspec.json.Decoder(_Review).decode


class ImagePolicyWebhook(AdmissionPlugin):
    name = "ImagePolicyWebhook"

    def __init__(self, host: AdmissionHost, options: ImagePolicyOptions) -> None:
        self._host = host
        self._options = options
        self._known: dict[bytes, tuple[float, _Status]] = {}

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not group and resource == "pods" and subresource in ("", "ephemeralcontainers")

    async def validate(self, request: AdmissionRequest) -> None:
        if request.operation == "UPDATE" and request.subresource != "ephemeralcontainers":
            return
        asked = msgspec.json.encode(_spec(request))
        status = self._remembered(asked) or await self._ask(asked, request)
        if status is None:
            return
        for name, value in (status.auditAnnotations or {}).items():
            request.annotations[f"imagepolicywebhook.image-policy.k8s.io/{name}"] = value
        if not status.allowed:
            why = f": {status.reason}" if status.reason else ""
            raise Forbidden.of("pods", request.name, because=f"image policy webhook backend denied one or more images{why}")

    def _remembered(self, asked: bytes) -> _Status | None:
        until, status = self._known.get(asked, (0.0, None))
        return status if until > self._host.clock.monotonic() else None

    async def _ask(self, asked: bytes, request: AdmissionRequest) -> _Status | None:
        """None: it cannot be asked, and the options let that pass. Raises Forbidden."""
        review = b'{"apiVersion":"%s","kind":"ImageReview","spec":%s}' % (API_VERSION.encode(), asked)
        try:
            answer = await self._host.call(self._options.client, review, self._options.timeoutSeconds)
            status = _decode(answer).status
        except (ValueError, msgspec.MsgspecError) as error:
            if not self._options.defaultAllow:
                because = f"the image policy webhook cannot be asked: {error}"
                raise Forbidden.of("pods", request.name, because=because) from error
            request.annotations[FAILED_OPEN] = "true"
            return None
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        kept = self._options.allowTTL if status.allowed else self._options.denyTTL
        self._known[asked] = (self._host.clock.monotonic() + kept, status)
        return status


def _spec(request: AdmissionRequest) -> dict[str, Any]:
    pod = request.object
    annotations = {name: value for name, value in pod.metadata.annotations.items() if SUFFIX in name}
    images = [{"image": container.image} for _, container in containers(pod.spec)]
    return {"containers": images, "annotations": annotations, "namespace": request.namespace}
