"""What is served at paths that are no resources but describe them: discovery and OpenAPI, compressed in memory once made."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import discovery
from bareboat.api.custom.openapi import schemas
from bareboat.api.openapi import documents as openapi
from bareboat.api.openapi import gnostic
from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.models.status import NotFound

if TYPE_CHECKING:
    from bareboat.api.custom.kinds import CustomKinds
    from bareboat.models.scheme import Resource, Scheme


class Documents:
    """Of one scheme; ``forget`` after the scheme changed."""

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._made: dict[str, tuple[str, bytes]] = {}
        #: tells of custom kinds
        self.custom: CustomKinds | None = None
        #: shown to clients that ask for the old form of discovery
        self.address = ""

    def forget(self) -> None:
        self._made.clear()

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Raises NotFound for a path that describes nothing."""
        path = request.path.rstrip("/")
        if path.startswith("/openapi/"):
            return self._openapi(request, path)
        tree = discovery.document(self._scheme, request, self.address)
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
            wants_protobuf = "proto-openapi" in request.accept and not request.accept.startswith("application/json")
            return self._compressed(request, "v2.pb" if wants_protobuf else "v2")
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
            body = self._make(name)
            self._made[name] = (hashlib.sha256(body).hexdigest().upper(), gzip.compress(body, 6))
        tag, packed = self._made[name]
        media = gnostic.CONTENT_TYPE if name == "v2.pb" else "application/json"
        response = self._tagged(request, b"" if _matches(request, tag) else gzip.decompress(packed), tag, media)
        if request.first("hash"):
            response.headers["cache-control"] = "public, immutable"
        return response

    def _make(self, name: str) -> bytes:
        if name.startswith("v2"):
            resources = self._scheme.resources()
            tree = openapi.v2(resources, self._schemas(resources, v2=True))
            return gnostic.encode(tree) if name == "v2.pb" else msgspec.json.encode(tree)
        resources = openapi.group_versions(self._scheme)[name]
        return msgspec.json.encode(openapi.v3(resources, self._schemas(resources, v2=False)))

    def _schemas(self, resources: list[Resource], *, v2: bool) -> dict[str, Any]:
        """Of the custom kinds among the resources."""
        prefix = "#/definitions/" if v2 else "#/components/schemas/"
        found: dict[str, Any] = {}
        for resource in resources:
            if resource.custom and self.custom is not None:
                found |= schemas(self.custom.kind(resource).version, prefix, v2=v2)
        return found

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
