"""Views: a few fields of any object, and of pods the few that tell whom they concern.

All who are told of pods name the same view, so that a change of a pod is decoded once however many they are.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.models import meta_v1


class Owner(msgspec.Struct):
    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


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


class Volume(msgspec.Struct):
    name: str = ""
    persistentVolumeClaim: _Claimed | None = None
    ephemeral: dict[str, Any] | None = None


class _Gate(msgspec.Struct):
    name: str = ""


class _Spec(msgspec.Struct):
    nodeName: str = ""
    schedulerName: str = ""
    priority: int | None = None
    schedulingGates: list[_Gate] = []
    volumes: list[Volume] = []


class Resources(msgspec.Struct):
    requests: dict[str, str] = {}


class Granted(msgspec.Struct):
    """What a container has, which while it is resized is not what it asks for."""

    name: str = ""
    resources: Resources | None = None


class _Status(msgspec.Struct):
    phase: str = ""
    nominatedNodeName: str = ""
    startTime: str | None = None
    containerStatuses: list[Granted] = []
    initContainerStatuses: list[Granted] = []


class PodMetadata(Metadata):
    generation: int = 0


class PodFacts(Dependent):
    """And of a pod: its node or who is to find it one, its claims, how far it is and what it takes.

    Its generation stands for the rest of its spec: where that is the same, nothing in the spec has changed but the node.
    """

    metadata: PodMetadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _ReplicaMetadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    ownerReferences: list[meta_v1.OwnerReference] = []


class _ReplicaSpec(msgspec.Struct):
    nodeName: str = ""


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: str | None = None


class _ContainerStatus(msgspec.Struct):
    restartCount: int = 0


class _ReplicaStatus(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] = []
    containerStatuses: list[_ContainerStatus] = []


class Replica(msgspec.Struct):
    """What of a pod says whether it counts, and whether it is the one to delete. For its controller it stands for the pod."""

    metadata: _ReplicaMetadata
    spec: _ReplicaSpec = msgspec.field(default_factory=_ReplicaSpec)
    status: _ReplicaStatus = msgspec.field(default_factory=_ReplicaStatus)
