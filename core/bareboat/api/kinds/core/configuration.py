"""ConfigMap and Secret."""

from __future__ import annotations

import base64
import json
from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, forbidden, immutable, invalid, required, too_long
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models.names import config_map_key, is_config_map_key
from bareboat.models.status import Cause

#: Bytes of all values of one ConfigMap or Secret.
SIZE_LIMIT = 1024 * 1024
#: Keys that may be, and how many of them are remembered.
_proper: set[str] = set()
MOST = 4096
_NEEDED_KEYS = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
_JSON = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
_ACCOUNT = "kubernetes.io/service-account.name"
_FROZEN = "field is immutable when `immutable` is set"


def _keys(data: dict[str, str], field: str) -> list[Cause]:
    if data.keys() <= _proper:  # the same few keys come with every object
        return []
    causes = [c for key in data if is_config_map_key(key) is None for c in each(f"{field}[{key}]", key, config_map_key(key))]
    if not causes:
        if len(_proper) + len(data) > MOST:
            _proper.clear()
        _proper.update(list(data)[:MOST])
    return causes


def _frozen(new: Any, old: Any, fields: tuple[str, ...]) -> list[Cause]:
    if not old.immutable:
        return []
    causes = [] if new.immutable else [forbidden("immutable", _FROZEN)]
    return causes + [forbidden(f, _FROZEN) for f in fields if getattr(new, f) != getattr(old, f)]


def _decoded(text: str) -> int:
    """Bytes behind a base64 text."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def _is_too_large(config_map: Any) -> bool:
    """A character is four bytes at most, so mostly there is no need to look closer."""
    text, binary = config_map.data.values(), sum(map(_decoded, config_map.binaryData.values()))
    return 4 * sum(map(len, text)) + binary > SIZE_LIMIT and sum(len(v.encode()) for v in text) + binary > SIZE_LIMIT


class ConfigMapStrategy(PlainStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        causes = _keys(obj.data, "data") + _keys(obj.binaryData, "binaryData")
        for key in obj.data.keys() & obj.binaryData.keys():
            causes.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        return causes + ([too_long("", SIZE_LIMIT)] if _is_too_large(obj) else [])

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
        data = obj.data
        causes = _keys(data, "data")
        if sum(_decoded(v) for v in data.values()) > SIZE_LIMIT:
            causes.append(too_long("data", SIZE_LIMIT))
        for key in _NEEDED_KEYS.get(obj.type, ()):
            if key not in data or (obj.type == "kubernetes.io/ssh-auth" and not data[key]):
                causes.append(required(f"data[{key}]"))
            elif obj.type in _JSON:
                causes += _json(data[key], f"data[{key}]")
        if obj.type == "kubernetes.io/service-account-token" and not obj.metadata.annotations.get(_ACCOUNT):
            causes.append(required(f"metadata.annotations[{_ACCOUNT}]"))
        if obj.type == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
            causes += [required("data[username]"), required("data[password]")]
        return causes

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.type = new.type or old.type

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new) + immutable("type", new.type, old.type) + _frozen(new, old, ("data",))

    def warnings(self, obj: Any, old: Any | None) -> list[str]:
        return []


def _json(text: str, field: str) -> list[Cause]:
    """What is inside stays untold."""
    hidden = "<secret contents redacted>"
    try:
        tree = json.loads(base64.b64decode(text))
    except ValueError:
        return [invalid(field, hidden, "invalid character in JSON" if text else "unexpected end of JSON input")]
    if tree is not None and not isinstance(tree, dict):
        return [invalid(field, hidden, "json: cannot unmarshal into Go value of type map[string]interface {}")]
    return []


STRATEGIES: dict[str, type[Strategy]] = {"core/configmaps": ConfigMapStrategy, "core/secrets": SecretStrategy}
