"""Objects of object storage as plain trees: their kinds are defined at run time.

What comes in: a plural and a name. What goes out: trees, and ApiErrors.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bareboat.client.client import Client, checked

BASE = "/apis/objectstorage.k8s.io/v1alpha1"
FINALIZER = "cosi.objectstorage.k8s.io/protected"
Tree = dict[str, Any]


class Objects:
    def __init__(self, client: Client) -> None:
        self._client = client

    def _path(self, plural: str, namespace: str = "", name: str = "", part: str = "") -> str:
        words = [BASE, *(["namespaces", namespace] if namespace else []), plural, name, part]
        return "/".join(filter(None, words))

    async def _ask(self, method: str, path: str, tree: Tree | None = None, media: str = "application/json") -> Tree:
        body = msgspec.json.encode(tree) if tree is not None else b""
        answer = await self._client.transport.request(method, path, body=body, content_type=media)
        found: Tree = msgspec.json.decode(checked(answer).body)
        return found

    async def list(self, plural: str) -> list[Tree]:
        """With kind and apiVersion, which the items of a list leave out."""
        found = await self._ask("GET", self._path(plural))
        own = {"kind": str(found["kind"]).removesuffix("List"), "apiVersion": found["apiVersion"]}
        return [{**own, **item} for item in found["items"]]

    async def get(self, plural: str, name: str, namespace: str = "") -> Tree:
        return await self._ask("GET", self._path(plural, namespace, name))

    async def create(self, plural: str, kind: str, name: str, spec: Tree) -> Tree:
        tree = {
            "apiVersion": "objectstorage.k8s.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "finalizers": [FINALIZER]},
            "spec": spec,
        }
        return await self._ask("POST", self._path(plural), tree)

    async def status(self, plural: str, found: Tree, **status: Any) -> None:
        meta = found["metadata"]
        path = self._path(plural, meta.get("namespace", ""), meta["name"], "status")
        await self._ask("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def protect(self, plural: str, found: Tree, *, on: bool) -> None:
        """Whether it stays until what it stands for is gone."""
        meta = found["metadata"]
        others = [f for f in meta.get("finalizers", []) if f != FINALIZER]
        change = {"metadata": {"finalizers": [*others, *([FINALIZER] if on else [])], "resourceVersion": meta["resourceVersion"]}}
        path = self._path(plural, meta.get("namespace", ""), meta["name"])
        await self._ask("PATCH", path, change, "application/merge-patch+json")

    async def delete(self, plural: str, name: str) -> None:
        await self._ask("DELETE", self._path(plural, "", name))


def protected(found: Tree) -> bool:
    return FINALIZER in found["metadata"].get("finalizers", [])


def going(found: Tree) -> bool:
    return bool(found["metadata"].get("deletionTimestamp"))
