"""Secrets of type kubernetes.io/service-account-token: filled with a token of their account, and deleted with it.

What comes in: Secrets that name an account. What goes out: their ``token``, ``ca.crt`` and ``namespace``. The signing key stays with
the assembly, which lends a function.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import ClassVar

from bareboat.models import core_v1
from bareboat.models.status import NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class ServiceAccountTokenController(Controller):
    """``sign(account, name of the secret)`` and ``ca_pem`` are set by the assembly; without them Secrets wait."""

    name = "service-account-token-controller"
    workers = 1
    sign: ClassVar[Callable[[core_v1.ServiceAccount, str], str] | None] = None
    ca_pem: ClassVar[str] = ""

    def setup(self, informers: InformerFactory) -> None:
        self._secrets = self.watch(informers.of(core_v1.Secret, fields=f"type={TYPE}"))
        self._secrets.add_index("account", _account_of)
        self._accounts = self.watch(informers.of(core_v1.ServiceAccount), self._of_account)

    def _of_account(self, key: str, _account: core_v1.ServiceAccount) -> Iterable[str]:
        return self._secrets.by_index("account", key)

    async def reconcile(self, key: str) -> float | None:
        secret, sign = self._secrets.get(key), type(self).sign
        if secret is None or secret.metadata.deletionTimestamp or sign is None:
            return None
        meta = secret.metadata
        account = await self._account(meta.namespace, meta.annotations.get(NAME, ""))
        uid = meta.annotations.get(UID, "")
        if account is None or (uid and uid != account.metadata.uid):
            try:
                await self.client.delete(core_v1.Secret, meta.name, meta.namespace, uid=meta.uid)
            except NotFound:
                return None
            return None
        wanted = {"ca.crt": type(self).ca_pem.encode(), "namespace": meta.namespace.encode()}
        data = {**secret.data, **{k: base64.b64encode(v).decode() for k, v in wanted.items()}}
        if not data.get("token") or not uid:
            data["token"] = base64.b64encode(sign(account, meta.name).encode()).decode()
        if data != secret.data or not uid:
            meta.annotations = {**meta.annotations, UID: account.metadata.uid}
            secret.data = data
            await self.client.update(secret)
        return None

    async def _account(self, namespace: str, name: str) -> core_v1.ServiceAccount | None:
        """Asked again where the cache has none: it may be behind, and the Secret would be lost."""
        found = self._accounts.get(f"{namespace}/{name}")
        if found is None and name:
            try:
                found = await self.client.get(core_v1.ServiceAccount, name, namespace)
            except NotFound:
                return None
        return found


def _account_of(secret: core_v1.Secret) -> tuple[str, ...]:
    return (f"{secret.metadata.namespace}/{secret.metadata.annotations.get(NAME, '')}",)
