"""Creates, each of a name that is new, beside the 5,000 Pods that are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench import objects
from bench.bench import WRITES, Bench
from bench.row import Measured, Row


def _create(bench: Bench, clients: int, plural: str, body: Callable[[], str]) -> Measured:
    return bench.load(f"{WRITES}/{plural}", clients, method="POST", body=body())


def _pod() -> str:
    return objects.text(objects.pod("@NAME@", 1)).replace('"namespace":"bench"', '"namespace":"bench-writes"')


def _config_map() -> str:
    return objects.text(objects.config_map("@NAME@"))


def _row(kind: str, plural: str, clients: int, upstream: float, ratio: float, body: Callable[[], str]) -> Row:
    measure = partial(_create, clients=clients, plural=plural, body=body)
    return Row(f"create-{kind.lower()}-{clients}", f"create {kind}, {clients} clients", "rate", upstream, ratio, measure)


ROWS = [
    _row("Pod", "pods", 1, 553, 2, _pod),
    _row("Pod", "pods", 16, 992, 4, _pod),
    _row("Pod", "pods", 64, 1018, 4, _pod),
    _row("ConfigMap", "configmaps", 16, 2116, 3, _config_map),
    _row("ConfigMap", "configmaps", 64, 2402, 4, _config_map),
]
