"""What is served at paths that are no resources but describe them: discovery and OpenAPI, compressed in memory once made."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import discovery
from bareboat.api.custom.openapi import schemas
from bareboat.api.openapi import documents as openapi
from bareboat.api.openapi import gnostic
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.models.status import NotFound

if TYPE_CHECKING:
    from bareboat.api.custom.definition import Version
    from bareboat.api.custom.kinds import CustomKinds
    from bareboat.models.scheme import Resource, Scheme


class Documents:
    """Of one scheme; ``forget`` after the scheme changed."""

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._made: dict[str, tuple[str, bytes]] = {}
        self._changes = 0
        #: tells of custom kinds
        self.custom: CustomKinds | None = None
        #: resources of other servers by group and version, as their own discovery lists them
        self.remote: Callable[[], dict[tuple[str, str], list[dict[str, Any]]]] = dict
        #: shown to clients that ask for the old form of discovery
        self.address = ""

    def forget(self) -> None:
        """The scheme changed: what tells of custom kinds is made anew."""
        custom = {r.path_prefix.lstrip("/") for r in self._scheme.resources() if r.custom}
        kept = {r.path_prefix.lstrip("/") for r in self._scheme.resources()} - custom
        self._made = {name: made for name, made in self._made.items() if name in kept}
        self._changes += 1

    async def answer(self, request: ApiRequest) -> ApiResponse:
        """``handle``, with what takes long to make made beside the loop."""
        name = request.path.rstrip("/").removeprefix("/openapi/v3/")
        if name == "/openapi/v2":
            await self._prepare(_form(request))
        elif name in openapi.group_versions(self._scheme):
            await self._prepare(name)
        return self.handle(request)

    async def _prepare(self, name: str) -> None:
        for _ in range(3):
            if name in self._made:
                return
            changes = self._changes
            made = await asyncio.to_thread(self._made_by(name))
            if changes == self._changes:
                self._made[name] = made

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Raises NotFound for a path that describes nothing."""
        path = request.path.rstrip("/")
        if path.startswith("/openapi/"):
            return self._openapi(request, path)
        tree = discovery.document(self._scheme, request, self.address, self.remote())
        if tree is None:
            raise NotFound("the server could not find the requested resource", details={})
        version = discovery.aggregated(request) if path in ("/api", "/apis") else ""
        body = msgspec.json.encode(tree)
        return self._tagged(request, body, hashlib.sha256(body).hexdigest().upper(), discovery.content_type(version))

    def _openapi(self, request: ApiRequest, path: str) -> ApiResponse:
        if path == "/openapi/v3":
            found = openapi.group_versions(self._scheme).items()
            return ApiResponse(200, msgspec.json.encode({"paths": {g: {"serverRelativeURL": self._url(g, of)} for g, of in found}}))
        if path == "/openapi/v2":
            return self._compressed(request, _form(request))
        group_version = path.removeprefix("/openapi/v3/")
        if group_version not in openapi.group_versions(self._scheme):
            raise NotFound("the server could not find the requested resource", details={})
        return self._compressed(request, group_version)

    def _url(self, group_version: str, resources: list[Resource]) -> str:
        names = ",".join(r.plural + self._mark(r) for r in resources)
        tag = hashlib.sha256(f"{openapi.VERSION} {group_version} {names}".encode()).hexdigest().upper()
        return f"/openapi/v3/{group_version}?hash={tag}"

    def _compressed(self, request: ApiRequest, name: str) -> ApiResponse:
        if name not in self._made:
            self._made[name] = self._made_by(name)()
        tag, packed = self._made[name]
        media = gnostic.CONTENT_TYPE if name == "v2.pb" else "application/json"
        response = self._tagged(request, b"" if _matches(request, tag) else gzip.decompress(packed), tag, media)
        if request.first("hash"):
            response.headers["cache-control"] = "public, immutable"
        return response

    def _made_by(self, name: str) -> Callable[[], tuple[str, bytes]]:
        """What makes a document: it may run on another thread, and sees the kinds as they are now."""
        resources = self._scheme.resources() if name.startswith("v2") else openapi.group_versions(self._scheme)[name]
        versions = [self.custom.kind(r).version for r in resources if r.custom] if self.custom is not None else []
        return lambda: _packed(name, resources, versions)

    def _mark(self, resource: Resource) -> str:
        """What changes when a custom kind's schema does."""
        return self.custom.kind(resource).version.tail.decode() if resource.custom and self.custom is not None else ""

    def _tagged(self, request: ApiRequest, body: bytes, tag: str, content_type: str) -> ApiResponse:
        headers = {"etag": f'"{tag}"', "vary": "Accept"}
        if _matches(request, tag):
            return ApiResponse(304, b"", content_type, headers)
        return ApiResponse(200, body, content_type, headers)


def _matches(request: ApiRequest, tag: str) -> bool:
    return f'"{tag}"' in request.headers.get("if-none-match", "")


def _form(request: ApiRequest) -> str:
    """v2 as JSON, or as the protobuf that kubectl used to ask for."""
    wants_protobuf = "proto-openapi" in request.accept and not request.accept.startswith("application/json")
    return "v2.pb" if wants_protobuf else "v2"


def _packed(name: str, resources: list[Resource], versions: list[Version]) -> tuple[str, bytes]:
    """A document's tag and its compressed bytes."""
    v2 = name.startswith("v2")
    prefix = "#/definitions/" if v2 else "#/components/schemas/"
    custom: dict[str, Any] = {}
    for version in versions:
        custom |= schemas(version, prefix, v2=v2)
    tree = openapi.v2(resources, custom) if v2 else openapi.v3(resources, custom)
    body = gnostic.encode(tree) if name == "v2.pb" else msgspec.json.encode(tree)
    return hashlib.sha256(body).hexdigest().upper(), gzip.compress(body, 1 if versions else 6)
