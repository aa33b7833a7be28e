"""GET and LIST over 5,000 Pods of 4.8 KB."""

from __future__ import annotations

import json
from functools import partial

from bench.bench import PODS, Bench
from bench.connection import Refused
from bench.row import Measured, Row


def _get(bench: Bench, clients: int) -> Measured:
    return bench.load(f"{PODS}/pod-@NUMBER@", clients, cycle=4999)


def _list(bench: Bench, clients: int, query: str, items: int) -> Measured:
    """Counted once before the load, so that nobody measures an empty list."""
    bench.ready()
    found = len(bench.call("GET", f"{PODS}{query}")["items"])
    if found != items:
        raise Refused(f"{PODS}{query}: {found} items, expected {items}")
    return bench.load(f"{PODS}{query}", clients)


def _pages(bench: Bench, clients: int) -> Measured:
    """The second page of 500, again and again."""
    bench.ready()
    first = bench.call("GET", f"{PODS}?limit=500")
    assert len(first["items"]) == 500
    return bench.load(f"{PODS}?limit=500&continue={json.loads(json.dumps(first['metadata']['continue']))}", clients)


def _listing(name: str, workload: str, clients: int, query: str, items: int, upstream: float, ratio: float) -> Row:
    return Row(name, workload, "rate", upstream, ratio, partial(_list, clients=clients, query=query, items=items), wired=True)


ROWS = [
    Row("get-pod-1", "GET one Pod, 1 client", "rate", 1317, 5, partial(_get, clients=1), wired=True),
    Row("get-pod-16", "GET one Pod, 16 clients", "rate", 4034, 5, partial(_get, clients=16), wired=True),
    _listing("list-1", "LIST 5,000 Pods (25 MB), 1 client", 1, "", 5000, 3.6, 5),
    _listing("list-4", "LIST 5,000 Pods (25 MB), 4 clients", 4, "", 5000, 5.2, 5),
    Row("list-pages", "pages of 500, 1 client", "rate", 38, 5, partial(_pages, clients=1), wired=True),
    _listing("list-label", "LIST by label (1 %), 4 clients", 4, "?labelSelector=group%3Dg7", 50, 313, 12),
    _listing("list-node", "LIST by node name (1 %), 4 clients", 4, "?fieldSelector=spec.nodeName%3Dnode-7", 50, 525, 8),
]
