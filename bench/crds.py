"""How long a thousand CustomResourceDefinitions take to load and to serve, and what they weigh.

    python bench/crds.py [COUNT]

Each has 192 properties, six levels deep, a rule and a default. Measured: writing them, loading them from the store as a server does
at its start, the discovery and OpenAPI documents, and the memory of definitions that are only known and of those in use.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from typing import Any

import msgspec

from bareboat.testing.kernel import Kernel

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def schema(width: int = 6, depth: int = 3) -> dict[str, Any]:
    """Objects in objects; leaves of several types."""
    leaves: list[dict[str, Any]] = [
        {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9-]+$"},
        {"type": "integer", "minimum": 0, "default": 1},
        {"type": "boolean", "description": "Whether it is so, and what follows if it is not."},
        {"type": "array", "items": {"type": "string"}},
        {"x-kubernetes-int-or-string": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
    if depth == 0:
        return {"type": "object", "properties": {f"leaf{i}": leaves[i] for i in range(width)}}
    branches = {f"level{depth}x{i}": schema(width, depth - 1) for i in range(3 if depth > 1 else 2)}
    return {"type": "object", "properties": {**branches, **{f"field{i}": leaves[i] for i in range(width)}}}


def definition(number: int) -> dict[str, Any]:
    group, plural = f"g{number // 20}.example.com", f"things{number}"
    spec = {**schema(), "x-kubernetes-validations": [{"rule": "!has(self.field1) || self.field1 < 100"}]}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": f"Thing{number}"}, "versions": [version]},
    }


def properties(tree: Any) -> int:
    if not isinstance(tree, dict):
        return 0
    own = len(tree["properties"]) if isinstance(tree.get("properties"), dict) else 0
    return own + sum(properties(value) for value in tree.values())


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


class Clock:
    """Prints how long each step took and what the process weighs afterwards."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self, what: str, count: int = 1) -> None:
        spent = time.perf_counter() - self._last
        gc.collect()
        each = f"  {spent / count * 1e3:8.3f} ms each" if count > 1 else ""
        print(f"{what:44} {spent * 1e3:10.1f} ms {each:20} {resident():8.1f} MB")
        self._last = time.perf_counter()


async def main(count: int) -> None:
    print(f"{count} definitions of {properties(schema())} properties, {len(msgspec.json.encode(definition(0)))} bytes")
    clock = Clock()
    first = await Kernel().start()
    clock.lap("start")
    for number in range(count):
        answer = await first.client.transport.request("POST", DEFINITIONS, body=msgspec.json.encode(definition(number)))
        assert answer.status == 201, answer.body
    clock.lap("create", count)
    while sum(r.custom for r in first.scheme.resources()) < count:
        await asyncio.sleep(0.01)
    clock.lap("established", count)
    second = Kernel(store=first.log.store)
    await second.log.start()
    clock.lap("a second server reads the log")
    second.service.custom.load()
    clock.lap("definitions loaded", count)
    for path, accept in (("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"), ("/openapi/v3", "*/*")):
        await second.client.transport.request("GET", path, accept=accept)
        clock.lap(f"GET {path}")
    await second.client.transport.request("GET", "/openapi/v3/apis/g0.example.com/v1")
    clock.lap("GET /openapi/v3/apis/g0.example.com/v1")
    await second.client.transport.request("GET", "/openapi/v2")
    clock.lap("GET /openapi/v2")
    for number in range(count):
        body = {
            "apiVersion": f"g{number // 20}.example.com/v1",
            "kind": f"Thing{number}",
            "metadata": {"name": "a"},
            "spec": {"field0": "a", "level3x0": {"field1": 3, "level2x0": {"level1x0": {"leaf0": "x"}}}},
        }
        path = f"/apis/g{number // 20}.example.com/v1/namespaces/default/things{number}"
        answer = await second.client.transport.request("POST", path, body=msgspec.json.encode(body))
        assert answer.status == 201, answer.body
    clock.lap("first object of each kind (compiles it)", count)
    for number in range(count):
        path = f"/apis/g0.example.com/v1/namespaces/default/things0/a{number}"
        body = {"apiVersion": "g0.example.com/v1", "kind": "Thing0", "metadata": {"name": f"a{number}"}, "spec": {"field0": "a"}}
        await second.client.transport.request("POST", path.rpartition("/")[0], body=msgspec.json.encode(body))
    clock.lap("objects of one kind", count)
    await second.client.transport.request("GET", "/apis/g0.example.com/v1/things0")
    clock.lap("LIST them")
    await second.log.stop()
    await first.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
