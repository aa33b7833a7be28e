"""The verbs of a world over trees: any kind that is served, built in or custom, by path.

In: references and trees. Out: Things, or the ApiError that the API answered. Sources of ``apply`` are read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bareboat.client.client import CONTENT_TYPES, Client, checked
from bareboat.models.scheme import Resource
from bareboat.models.status import NotFound
from bareboat.testing.world.references import Reference
from bareboat.testing.world.things import Selection, Thing

MANAGER = "bareboat-world"
SUFFIXES = (".yaml", ".yml", ".json")


class Verbs:
    """As one user."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport = client.transport

    def trees(self, source: Any) -> Iterable[dict[str, Any]]:
        """Raises FileNotFoundError, ValueError for what holds no object."""
        if isinstance(source, Mapping):
            items = source.get("items")
            yield from self.trees(items) if str(source.get("kind", "")).endswith("List") and items is not None else [dict(source)]
        elif isinstance(source, msgspec.Struct):
            from bareboat.models.codec import to_tree

            yield to_tree(source)
        elif isinstance(source, list | tuple):
            for one in source:
                yield from self.trees(one)
        elif isinstance(source, Path) or (isinstance(source, str) and "\n" not in source and ":" not in source):
            yield from self._files(Path(source))
        elif isinstance(source, str):
            yield from self._documents(source)
        else:
            raise ValueError(f"{source!r} holds no object: give a path, YAML or JSON, a tree, or a list of them")

    def _files(self, path: Path) -> Iterable[dict[str, Any]]:
        for found in sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]:
            yield from self._documents(found.read_text())

    def _documents(self, text: str) -> Iterable[dict[str, Any]]:
        for document in yaml.safe_load_all(text):
            if isinstance(document, dict):
                yield from self.trees(document)
            elif document is not None:
                raise ValueError(f"{str(document)[:80]!r} is no object: apiVersion, kind and metadata are needed")

    async def apply(self, tree: dict[str, Any], namespace: str) -> Thing:
        resource = self._resource(tree)
        name = (tree.get("metadata") or {}).get("name", "")
        if not name:
            return await self.create(tree, namespace)
        path = self._path(resource, tree, namespace)
        query = {"fieldManager": MANAGER, "force": "true"}
        answer = await self._transport.request(
            "PATCH", path, query=query, body=msgspec.json.encode(tree), content_type=CONTENT_TYPES["apply"]
        )
        return _thing(checked(answer).body)

    async def create(self, tree: dict[str, Any], namespace: str) -> Thing:
        path = self._path(self._resource(tree), tree, namespace, collection=True)
        answer = await self._transport.request("POST", path, query={"fieldManager": MANAGER}, body=msgspec.json.encode(tree))
        return _thing(checked(answer).body)

    async def get(self, reference: Reference) -> Thing:
        return _thing(checked(await self._transport.request("GET", reference.path)).body)

    async def list(self, reference: Reference) -> Selection:
        if reference.name:
            try:
                return Selection([await self.get(reference)])
            except NotFound:
                return Selection()
        tree = msgspec.json.decode(checked(await self._transport.request("GET", reference.path, query=reference.query)).body)
        head = {"kind": reference.resource.kind, "apiVersion": reference.resource.api_version}
        return Selection((Thing({**head, **item}) for item in tree.get("items") or ()), int(tree["metadata"]["resourceVersion"]))

    async def delete(self, reference: Reference, grace: int | None, propagation: str) -> None:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation:
            options["propagationPolicy"] = propagation
        answer = await self._transport.request("DELETE", reference.path, query=reference.query, body=msgspec.json.encode(options))
        checked(answer)

    async def patch(self, reference: Reference, patch: Any, kind: str, subresource: str) -> Thing:
        if kind not in CONTENT_TYPES:
            raise ValueError(f"patch type {kind!r} is none of {', '.join(CONTENT_TYPES)}")
        path = f"{reference.path}/{subresource}" if subresource else reference.path
        query = {"fieldManager": MANAGER, **({"force": "true"} if kind == "apply" else {})}
        body = patch if isinstance(patch, bytes) else msgspec.json.encode(patch)
        return _thing(checked(await self._transport.request("PATCH", path, query=query, body=body, content_type=CONTENT_TYPES[kind])).body)

    def _resource(self, tree: dict[str, Any]) -> Resource:
        found = self._client.scheme.by_kind(tree.get("apiVersion", ""), tree.get("kind", ""))
        if found is None:
            raise LookupError(f"nobody serves {tree.get('apiVersion')!r} {tree.get('kind')!r}: apply its CustomResourceDefinition first")
        return found

    def _path(self, resource: Resource, tree: dict[str, Any], namespace: str, *, collection: bool = False) -> str:
        meta = tree.get("metadata") or {}
        space = meta.get("namespace") or namespace if resource.namespaced else ""
        return Reference(resource, "" if collection else meta["name"], space).path


def _thing(body: bytes) -> Thing:
    return Thing(msgspec.json.decode(body))
