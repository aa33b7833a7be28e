"""What the cluster file may say about these plugins."""

from __future__ import annotations

from typing import Any

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


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``enable`` names plugins that are off by default, ``disable`` plugins that are on. ``podNodeSelectors``: the default selector
    under ``clusterDefaultNodeSelector``, and the selector that each namespace allows under its name."""

    enable: list[str] = []
    disable: list[str] = []
    podSecurity: PodSecurityOptions = PodSecurityOptions()
    podNodeSelectors: dict[str, str] = {}


def parse(options: dict[str, Any]) -> Options:
    """Raises ValueError, which names the path and what is wrong with it."""
    try:
        return msgspec.convert(options, Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"admission-builtin: options: {error}; allowed: {', '.join(Options.__struct_fields__)}") from error
