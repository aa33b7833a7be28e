"""What the cluster file may say about these plugins."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pod security for namespaces that say nothing themselves: levels ``privileged``, ``baseline``,
    ``restricted``; versions ``latest`` or ``v1.N``."""

    enforce: str = "privileged"
    enforce_version: str = msgspec.field(name="enforce-version", default="latest")
    audit: str = "privileged"
    audit_version: str = msgspec.field(name="audit-version", default="latest")
    warn: str = "privileged"
    warn_version: str = msgspec.field(name="warn-version", default="latest")


class Exemptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom pod security leaves alone: ``usernames``, ``runtimeClasses``, ``namespaces``."""

    usernames: list[str] = []
    runtimeClasses: list[str] = []
    namespaces: list[str] = []


class PodSecurityOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    defaults: Level = Level()
    exemptions: Exemptions = Exemptions()


class TolerationOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tolerations for pods of namespaces that name none themselves: what they get, and what they may have (empty: anything)."""

    default: list[dict[str, Any]] = []
    allowed: list[dict[str, Any]] = []


class EventLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``type``: Server, Namespace, User or SourceAndObject. Events a second, at once, and how many keys are remembered."""

    type: Literal["Server", "Namespace", "User", "SourceAndObject"]
    qps: Annotated[int, msgspec.Meta(ge=1)]
    burst: Annotated[int, msgspec.Meta(ge=1)]
    cacheSize: Annotated[int, msgspec.Meta(ge=1)] = 4096


class ImagePolicyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``client``: as the clientConfig of a webhook (url or service, caBundle). What is allowed or denied is remembered for seconds."""

    client: dict[str, Any] = {}
    allowTTL: int = 50
    denyTTL: int = 50
    timeoutSeconds: int = 10
    defaultAllow: bool = False


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``enable`` names plugins that are off by default, ``disable`` plugins that are on. ``podNodeSelectors``: the default selector
    under ``clusterDefaultNodeSelector``, and the selector that each namespace allows under its name.
    ``podTolerations``, ``eventRateLimits`` and ``imagePolicy`` are for the plugins of these names."""

    enable: list[str] = []
    disable: list[str] = []
    podSecurity: PodSecurityOptions = PodSecurityOptions()
    podNodeSelectors: dict[str, str] = {}
    podTolerations: TolerationOptions = TolerationOptions()
    eventRateLimits: list[EventLimit] = []
    imagePolicy: ImagePolicyOptions = ImagePolicyOptions()


def parse(options: dict[str, Any]) -> Options:
    """Raises ValueError, which names the path and what is wrong with it."""
    try:
        return msgspec.convert(options, Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"admission-builtin: options: {error}; allowed: {', '.join(Options.__struct_fields__)}") from error
