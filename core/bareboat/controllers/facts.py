"""What controllers look at when something changes: a few fields of any object, and of pods the few that lead to whom they concern.

All who are told of pods name the same view, so that a change of a pod is decoded once however many they are.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    deletionTimestamp: str | None = None
    finalizers: list[str] = []
    ownerReferences: list[Owner] = []


class Dependent(msgspec.Struct):
    """What routing a change needs of any object."""

    metadata: Metadata

    @property
    def owner(self) -> Owner | None:
        for owner in self.metadata.ownerReferences:
            if owner.controller:
                return owner
        return None


class _Claimed(msgspec.Struct):
    claimName: str = ""


class _Volume(msgspec.Struct):
    name: str = ""
    persistentVolumeClaim: _Claimed | None = None
    ephemeral: dict[str, Any] | None = None


class _Spec(msgspec.Struct):
    nodeName: str = ""
    volumes: list[_Volume] = []


class PodFacts(Dependent):
    """And of a pod: its node and its claims."""

    spec: _Spec = msgspec.field(default_factory=_Spec)
