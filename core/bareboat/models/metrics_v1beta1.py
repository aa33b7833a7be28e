"""The kinds of metrics.k8s.io/v1beta1: what nodes and pods use now. Read only; never stored."""

from __future__ import annotations

import msgspec

from bareboat.models import meta_v1

GROUP = "metrics.k8s.io"


class NodeMetrics(msgspec.Struct, kw_only=True):
    """What a node uses: cpu as the average over ``window`` before ``timestamp``, memory as the working set."""

    kind: str = msgspec.field(default_factory=lambda: "NodeMetrics")
    apiVersion: str = msgspec.field(default_factory=lambda: "metrics.k8s.io/v1beta1")
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)
    timestamp: str = ""
    window: str = "0s"
    usage: dict[str, str] = msgspec.field(default_factory=dict)


class ContainerMetrics(msgspec.Struct, kw_only=True):
    """What a container uses, as quantities."""

    name: str = ""
    usage: dict[str, str] = msgspec.field(default_factory=dict)


class PodMetrics(msgspec.Struct, kw_only=True):
    """What the containers of a pod use: cpu as the average over ``window`` before ``timestamp``, memory as the working set."""

    kind: str = msgspec.field(default_factory=lambda: "PodMetrics")
    apiVersion: str = msgspec.field(default_factory=lambda: "metrics.k8s.io/v1beta1")
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)
    timestamp: str = ""
    window: str = "0s"
    containers: list[ContainerMetrics] = msgspec.field(default_factory=list)
