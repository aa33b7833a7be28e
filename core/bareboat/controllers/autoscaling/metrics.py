"""What pods use now, from the resource metrics API (metrics.k8s.io). Amounts in thousandths."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from bareboat.client.client import Client
from bareboat.models.quantity import Quantity
from bareboat.models.selectors import Selector
from bareboat.models.times import parse

_PATH = "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods"


class Use(NamedTuple):
    """Of one pod: how much, measured when and over how many seconds."""

    milli: int
    at: datetime
    window: float


class _Container(msgspec.Struct):
    name: str = ""
    usage: dict[str, str] = {}


class _Metadata(msgspec.Struct):
    name: str = ""


class _Pod(msgspec.Struct):
    metadata: _Metadata
    timestamp: str = ""
    window: str = "1m0s"
    containers: list[_Container] = []


class _Pods(msgspec.Struct):
    items: list[_Pod] = []


class NoMetrics(Exception):
    """What pods use is not known."""


class ResourceMetrics:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def use(self, resource: str, namespace: str, selector: Selector, container: str = "") -> dict[str, Use]:
        """By pod. Pods that lack a container's figure are left out. Raises NoMetrics."""
        answer = await self._client.transport.request("GET", _PATH.format(namespace), query={"labelSelector": str(selector)})
        if answer.status != 200:
            raise NoMetrics(f"unable to get metrics for resource {resource}: unable to fetch metrics from resource metrics API")
        found = {}
        for pod in msgspec.json.decode(answer.body, type=_Pods).items:
            amount = _amount(pod, resource, container)
            if amount is not None:
                found[pod.metadata.name] = Use(amount, parse(pod.timestamp), _seconds(pod.window))
        if not found:
            raise NoMetrics(f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API")
        return found


def _amount(pod: _Pod, resource: str, container: str) -> int | None:
    chosen = [c for c in pod.containers if not container or c.name == container]
    if not chosen or any(resource not in c.usage for c in chosen):
        return None
    return sum(Quantity.parse(c.usage[resource]).milli() for c in chosen)


def _seconds(window: str) -> float:
    """Of a Go duration such as 1m0s."""
    total, number = 0.0, ""
    for char in window:
        if char.isdigit() or char == ".":
            number += char
        elif char in "hms" and number:
            total += float(number) * {"h": 3600.0, "m": 60.0, "s": 1.0}[char]
            number = ""
    return total or 60.0
