"""What a driver is told beside the volume's own context: who the pod is, tokens in its name, secrets.

What comes in: a pod, its CSIDriver's wishes. What goes out: entries of the volume context, and the data of Secrets. Nothing is stored.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from bareboat.contracts import csi
from bareboat.models import core_v1, storage_v1
from bareboat.models.times import format_seconds
from bareboat.node.mount_errors import MountFailed
from bareboat.node.storage.wanted import Secret, Wanted

Find = Callable[[type[Any], str, str], Awaitable[Any]]
Token = Callable[[core_v1.Pod, Any], Awaitable[str]]


class PodContext:
    def __init__(self, find: Find, token: Token) -> None:
        self._find = find
        self._token = token

    async def of(self, pod: core_v1.Pod, found: Wanted, rules: storage_v1.CSIDriverSpec | None) -> dict[str, str]:
        """Inline volumes are always told that they are; the rest where the CSIDriver asks for it."""
        inline = not found.volume
        told = {csi.EPHEMERAL: "true"} if inline else {}
        if rules is not None and rules.podInfoOnMount:
            told |= {
                csi.POD_NAME: pod.metadata.name,
                csi.POD_NAMESPACE: pod.metadata.namespace,
                csi.POD_UID: pod.metadata.uid,
                csi.POD_ACCOUNT: pod.spec.serviceAccountName or "default",
                csi.EPHEMERAL: "true" if inline else "false",
            }
        if rules is not None and rules.tokenRequests:
            told[csi.TOKENS] = json.dumps({r.audience: await self._one(pod, r) for r in rules.tokenRequests})
        return told

    async def _one(self, pod: core_v1.Pod, request: storage_v1.TokenRequest) -> dict[str, str]:
        projection = core_v1.ServiceAccountTokenProjection(
            audience=request.audience, expirationSeconds=request.expirationSeconds or 3600, path="csi"
        )
        token = await self._token(pod, projection)
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {"token": token, "expirationTimestamp": format_seconds(datetime.fromtimestamp(claims["exp"], UTC))}

    async def secret(self, wanted: Secret | None) -> dict[str, str]:
        """Raises MountFailed if it is not there."""
        if wanted is None:
            return {}
        found = await self._find(core_v1.Secret, wanted.name, wanted.namespace)
        if found is None:
            raise MountFailed(f'secret "{wanted.namespace}/{wanted.name}" not found')
        return {k: base64.b64decode(v).decode("utf-8", "surrogateescape") for k, v in found.data.items()}
