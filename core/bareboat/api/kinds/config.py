"""ConfigMap, Secret, LimitRange, ResourceQuota."""

from __future__ import annotations

import base64
from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import each, forbidden, immutable, required, too_long
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models.names import config_map_key
from bareboat.models.status import Cause

#: Bytes of all values of one ConfigMap or Secret.
SIZE_LIMIT = 1024 * 1024
_NEEDED_KEYS = {
    "kubernetes.io/basic-auth": (),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}


def _keys(data: dict[str, str], field: str) -> list[Cause]:
    return [cause for key in data for cause in each(f"{field}[{key}]", key, config_map_key(key))]


def _frozen(new: Any, old: Any, fields: tuple[str, ...]) -> list[Cause]:
    if not old.immutable:
        return []
    causes = [] if new.immutable else [forbidden("immutable", "field is immutable when `immutable` is set")]
    return causes + [forbidden(f, "field is immutable when `immutable` is set") for f in fields if getattr(new, f) != getattr(old, f)]


class ConfigMapStrategy(PlainStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _keys(obj.data, "data") + _keys(obj.binaryData, "binaryData")
        for key in obj.data.keys() & obj.binaryData.keys():
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{key}": duplicate of key present in binaryData', f"data[{key}]"))
        size = sum(len(v.encode()) for v in obj.data.values()) + sum(len(v) * 3 // 4 for v in obj.binaryData.values())
        return causes + ([too_long("", SIZE_LIMIT)] if size > SIZE_LIMIT else [])

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + _frozen(new, old, ("data", "binaryData"))


class SecretStrategy(PlainStrategy):
    selectable = {"type": lambda secret: secret.type}

    def default(self, obj: Any) -> None:
        obj.type = obj.type or "Opaque"
        if obj.stringData:
            encoded = {k: base64.b64encode(v.encode()).decode() for k, v in obj.stringData.items()}
            obj.data = {**obj.data, **encoded}
            obj.stringData = {}

    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _keys(obj.data, "data")
        if sum(len(v) * 3 // 4 for v in obj.data.values()) > SIZE_LIMIT:
            causes.append(too_long("data", SIZE_LIMIT))
        causes += [required(f"data[{key}]") for key in _NEEDED_KEYS.get(obj.type, ()) if key not in obj.data]
        account = obj.metadata.annotations.get("kubernetes.io/service-account.name")
        if obj.type == "kubernetes.io/service-account-token" and not account:
            causes.append(required("metadata.annotations[kubernetes.io/service-account.name]"))
        if obj.type == "kubernetes.io/basic-auth" and not obj.data.keys() & {"username", "password"}:
            causes += [required("data[username]"), required("data[password]")]
        return causes

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.type = new.type or old.type

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("type", new.type, old.type) + _frozen(new, old, ("data",))


class ResourceQuotaStrategy(KindStrategy):
    has_generation = False


STRATEGIES: dict[str, type[Strategy]] = {
    "core/configmaps": ConfigMapStrategy,
    "core/secrets": SecretStrategy,
    "core/limitranges": PlainStrategy,
    "core/resourcequotas": ResourceQuotaStrategy,
}
