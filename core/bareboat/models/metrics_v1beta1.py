"""The kinds of metrics.k8s.io/v1beta1: what nodes and pods use now. Read only; never stored."""

from __future__ import annotations

import msgspec

from bareboat.models import meta_v1

GROUP = "metrics.k8s.io"


class NodeMetrics(msgspec.Struct, kw_only=True):
    """``window`` is the time before ``timestamp`` that cpu is the average over; ``usage`` has cpu and memory as quantities."""

    kind: str = msgspec.field(default_factory=lambda: "NodeMetrics")
    apiVersion: str = msgspec.field(default_factory=lambda: "metrics.k8s.io/v1beta1")
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)
    timestamp: str = ""
    window: str = "0s"
    usage: dict[str, str] = msgspec.field(default_factory=dict)


class ContainerMetrics(msgspec.Struct, kw_only=True):
    name: str = ""
    usage: dict[str, str] = msgspec.field(default_factory=dict)


class PodMetrics(msgspec.Struct, kw_only=True):
    kind: str = msgspec.field(default_factory=lambda: "PodMetrics")
    apiVersion: str = msgspec.field(default_factory=lambda: "metrics.k8s.io/v1beta1")
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)
    timestamp: str = ""
    window: str = "0s"
    containers: list[ContainerMetrics] = msgspec.field(default_factory=list)
