"""What the scheduler has to know of a pod that has a place: what it takes there, and what it wants of others; and of a node.

Views for the informers: ``Placed`` stands for the pod where ``PlacedPod`` and ``PodUses`` are made, at a third of the price of the whole;
of ``NodeFacts`` nothing changes with a heartbeat.
"""

from __future__ import annotations

import msgspec

from bareboat.models import core_v1
from bareboat.reconcile.facts import Granted, Metadata, Resources, Volume


class _Port(msgspec.Struct):
    hostIP: str = ""
    hostPort: int | None = None
    protocol: str = ""


class _Container(msgspec.Struct):
    name: str = ""
    ports: list[_Port] = []
    resources: Resources = msgspec.field(default_factory=Resources)
    restartPolicy: str | None = None


class _Spec(msgspec.Struct):
    nodeName: str = ""
    priority: int | None = None
    volumes: list[Volume] = []
    initContainers: list[_Container] = []
    containers: list[_Container] = []
    resources: Resources | None = None
    overhead: dict[str, str] = {}
    affinity: core_v1.Affinity | None = None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    reason: str = ""


class _Status(msgspec.Struct):
    startTime: str | None = None
    conditions: list[_Condition] = []
    containerStatuses: list[Granted] = []
    initContainerStatuses: list[Granted] = []


class Placed(msgspec.Struct):
    metadata: Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Labelled(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] = {}


class _NodeSpec(msgspec.Struct):
    unschedulable: bool = False
    taints: list[core_v1.Taint] = []


class _Image(msgspec.Struct):
    names: list[str] = []
    sizeBytes: int | None = None


class _NodeStatus(msgspec.Struct):
    allocatable: dict[str, str] = {}
    images: list[_Image] = []


class NodeFacts(msgspec.Struct):
    metadata: _Labelled
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)
