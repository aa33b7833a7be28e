"""ServiceAccount: every pod has an account, and unless it says otherwise a token of it, mounted where clients look."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from bareboat.base.ids import SystemIds
from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation
from bareboat.contracts.auth import Reader
from bareboat.models import core_v1
from bareboat.models.codec import decode
from bareboat.models.status import Forbidden

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607
_TOKEN_VOLUME = (
    b'{"name":"%%b","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":%d,"path":"token"}},'
    b'{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},'
    b'{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],'
    b'"defaultMode":%d}}' % (TOKEN_SECONDS, 0o644)
)
#: A controller makes the account of this name in every new namespace, so a pod that comes right after it waits: looks, and the seconds
#: between two of them (a third more or less, by chance).
DEFAULT, LOOKS, BETWEEN = "default", 10, 0.15


class _Account(msgspec.Struct, frozen=True):
    """What pods get of theirs."""

    automountServiceAccountToken: bool | None = None
    imagePullSecrets: tuple[core_v1.LocalObjectReference, ...] = ()


class ServiceAccount(AdmissionPlugin):
    name = "ServiceAccount"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ids = SystemIds()

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation == "CREATE" and not group and resource == "pods" and not subresource

    async def mutate(self, request: AdmissionRequest) -> None:
        pod = request.object
        if "kubernetes.io/config.mirror" in pod.metadata.annotations:
            return
        spec = pod.spec
        spec.serviceAccountName = spec.serviceAccountName or DEFAULT
        spec.serviceAccount = spec.serviceAccountName
        account = self._account(spec.serviceAccountName, request.namespace)
        if account is None and spec.serviceAccountName == DEFAULT:
            account = await self._made_soon(request.namespace)
        if account is None:
            name = f"{request.namespace}/{spec.serviceAccountName}"
            because = f'error looking up service account {name}: serviceaccount "{spec.serviceAccountName}" not found'
            raise Forbidden.of("pods", pod.metadata.name, because=because)
        if self._wants_token(spec, account):
            self._mount(spec)
        if not spec.imagePullSecrets:
            spec.imagePullSecrets = [core_v1.LocalObjectReference(name=secret.name) for secret in account.imagePullSecrets]

    async def _made_soon(self, namespace: str) -> _Account | None:
        """The namespace's default account, if it comes in the time that a controller takes for it."""
        pause = BETWEEN * (2 + self._ids.fraction() * 2) / 3
        for _ in range(LOOKS - 1):
            await asyncio.sleep(pause)
            account = self._account(DEFAULT, namespace)
            if account is not None:
                return account
        return None

    def _account(self, name: str, namespace: str) -> _Account | None:
        return self._reader.view(core_v1.ServiceAccount, _Account, name, namespace, keep=True)

    def _wants_token(self, spec: Any, account: _Account) -> bool:
        if spec.automountServiceAccountToken is not None:
            return bool(spec.automountServiceAccountToken)
        return account.automountServiceAccountToken is not False

    def _mount(self, spec: Any) -> None:
        containers = [c for c in [*spec.initContainers, *spec.containers] if all(m.mountPath != MOUNT_PATH for m in c.volumeMounts)]
        if not containers:
            return
        known = next((v.name for v in spec.volumes if v.name.startswith(PREFIX) and v.projected is not None), "")
        name = known or PREFIX + self._ids.suffix(5)
        for container in containers:
            container.volumeMounts = [*container.volumeMounts, core_v1.VolumeMount(name=name, readOnly=True, mountPath=MOUNT_PATH)]
        if not known:
            spec.volumes = [*spec.volumes, decode(core_v1.Volume, _TOKEN_VOLUME % name.encode())]
