"""Bootstrap tokens: expired ones are deleted, and ``kube-public/cluster-info`` carries a signature of each that may sign."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.auth import detached
from bareboat.auth.bootstrap_tokens import NAMESPACE, PREFIX, TYPE, BootstrapToken, decoded
from bareboat.models import core_v1
from bareboat.models.status import NotFound
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

PUBLIC, INFO = "kube-public", "cluster-info"
_KEY = f"{PUBLIC}/{INFO}"


def token_of(secret: core_v1.Secret) -> BootstrapToken | None:
    """None for a Secret that is no well-formed token."""
    if secret.type != TYPE or secret.metadata.namespace != NAMESPACE:
        return None
    try:
        found = decoded(secret.data)
    except ValueError:
        return None
    return found if secret.metadata.name == PREFIX + found.token_id and found.secret else None


class TokenCleaner(Controller):
    """Deletes bootstrap tokens when their time has come."""

    name = "token-cleaner"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        self._secrets = self.watch(informers.of(core_v1.Secret, fields=f"type={TYPE}"))

    async def reconcile(self, key: str) -> float | None:
        secret = self._secrets.get(key)
        token = None if secret is None else token_of(secret)
        if secret is None or token is None or not token.expiration:
            return None
        if not token.expired(self.clock.now()):
            return (parse(token.expiration) - self.clock.now()).total_seconds() + 0.1
        try:
            await self.client.delete(core_v1.Secret, secret.metadata.name, NAMESPACE, uid=secret.metadata.uid)
        except NotFound:
            return None
        return None


class BootstrapSigner(Controller):
    """Keeps one signature per token that is for signing; takes those of others away."""

    name = "bootstrap-signer"
    workers = 1

    def setup(self, informers: InformerFactory) -> None:
        self._infos = self.watch(informers.of(core_v1.ConfigMap, fields=f"metadata.name={INFO}"))
        self._secrets = self.watch(informers.of(core_v1.Secret, fields=f"type={TYPE}"), self._info)

    def _info(self, _key: str, _secret: core_v1.Secret) -> Iterable[str]:
        return [_KEY]

    async def reconcile(self, key: str) -> float | None:
        info = self._infos.get(key) if key == _KEY else None
        if info is None:
            return None
        content = info.data.get(detached.CONTENT, "")
        data = {k: v for k, v in info.data.items() if not k.startswith(detached.PREFIX)}
        for secret in self._secrets.list() if content else ():
            token = token_of(secret)
            if token is not None and token.signing and not token.expired(self.clock.now()):
                data[detached.PREFIX + token.token_id] = detached.sign(content, token.token_id, token.secret)
        if data != info.data:
            info.data = data
            await self.client.update(info)
        return None
