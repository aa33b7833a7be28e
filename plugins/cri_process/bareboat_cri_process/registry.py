"""A client of registries: the read half of the OCI distribution protocol, which is Docker's.

What comes in: references, digests, credentials. What goes out: documents whole and blobs as streams, from the first of a registry's mirrors
that has them, else from itself. It follows challenges, goes through the machine's proxy, and speaks plain HTTP to loopback addresses that
do not speak TLS. Not here: what is done with it (``pull``), and trying again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from bareboat.contracts.cri import Credentials
from bareboat_cri_process import failures
from bareboat_cri_process.authorization import authorize, challenge_of
from bareboat_cri_process.failures import RegistryFailure
from bareboat_cri_process.manifests import INDEXES, LARGEST, MANIFESTS
from bareboat_cri_process.options import RegistryOptions
from bareboat_cri_process.references import HUB, Reference

_ACCEPT = ", ".join(sorted({*INDEXES, *MANIFESTS}))
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ssl.SSLError)


class Endpoint(msgspec.Struct, frozen=True):
    """``url`` with scheme; ``own``: the registry itself, which may see credentials."""

    url: str
    own: bool = True
    verified: bool = True
    ca: str = ""


class Registries:
    """All registries, over one session. ``close`` when done."""

    def __init__(self, options: Mapping[str, RegistryOptions]) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[tuple[str, str, Credentials | None], str] = {}
        self._schemes: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"User-Agent": "bareboat-cri-process"}
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers, auto_decompress=False, read_bufsize=1 << 20)
        return self._session

    async def document(self, image: Reference, kind: str, wanted: str, credentials: Credentials | None) -> tuple[bytes, str]:
        """A manifest (``kind`` manifests) or a small blob (blobs): its content and its media type."""
        async with self._ask(image, f"{kind}/{wanted}", credentials, {"Accept": _ACCEPT} if kind == "manifests" else {}) as answer:
            content = bytearray()
            async for piece in answer.content.iter_any():
                content += piece
                if len(content) > LARGEST:
                    raise RegistryFailure(f"{image.full}: a document of more than {LARGEST} bytes", again=False)
            return bytes(content), answer.headers.get("Content-Type", "").partition(";")[0].strip()

    @asynccontextmanager
    async def blob(self, image: Reference, digest: str, start: int, credentials: Credentials | None) -> AsyncIterator[tuple[Any, int]]:
        """The stream, and the position at which it begins: ``start``, or 0 if the registry cannot continue there."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        async with self._ask(image, f"blobs/{digest}", credentials, headers) as answer:
            span = answer.headers.get("Content-Range", "")
            resumed = answer.status == 206 and span.startswith(f"bytes {start}-")
            if answer.status == 206 and not resumed:
                raise RegistryFailure(f"{answer.url.with_query(None)} continues at {span!r}, not at {start}", again=False)
            yield answer.content, start if resumed else 0

    @asynccontextmanager
    async def _ask(
        self, image: Reference, what: str, credentials: Credentials | None, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        endpoints = self._endpoints(image.domain)
        for endpoint in endpoints:
            try:
                answer = await self._answered(endpoint, image.path, what, credentials if endpoint.own else None, headers)
            except RegistryFailure:
                if endpoint is endpoints[-1]:
                    raise
                continue
            try:
                yield answer
            except _BROKEN as error:
                raise failures.of_exception(error, str(answer.url.with_query(None))) from error
            finally:
                answer.close()
            return

    async def _answered(
        self, endpoint: Endpoint, path: str, what: str, credentials: Credentials | None, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """An answer with a status below 300; the challenge of a 401 is met once."""
        key = (endpoint.url, path, credentials)
        for attempt in range(2):
            known = {"Authorization": self._tokens[key]} if key in self._tokens else {}
            answer = await self._request(endpoint, f"/v2/{path}/{what}", {**headers, **known})
            if answer.status < 300:
                return answer
            answer.close()
            challenge = challenge_of(answer.headers.getall("WWW-Authenticate", []))
            if answer.status != 401 or challenge is None or attempt:
                raise failures.of_answer(answer)
            url = str(answer.url)
            try:
                self._tokens[key] = await authorize(self._http(), challenge, path, credentials, url, **self._how(challenge.realm, endpoint))
            except _BROKEN as error:
                raise failures.of_exception(error, challenge.realm) from error
        raise AssertionError("unreachable")

    async def _request(self, endpoint: Endpoint, path: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """An address without a scheme is asked for TLS first, then without; what it answered to is remembered."""
        schemes = [endpoint.url] if "://" in endpoint.url else [f"{scheme}://{endpoint.url}" for scheme in self._known(endpoint.url)]
        for url in schemes:
            try:
                answer = await self._http().get(url + path, headers=headers, **self._how(url, endpoint))
            except _BROKEN as error:
                if url == schemes[-1]:
                    raise failures.of_exception(error, url + path) from error
            else:
                self._schemes[endpoint.url] = url.partition("://")[0]
                return answer
        raise AssertionError("unreachable")

    def _known(self, host: str) -> tuple[str, ...]:
        return (self._schemes[host],) if host in self._schemes else ("https", "http")

    def _endpoints(self, domain: str) -> list[Endpoint]:
        options = self._options.get(domain, RegistryOptions())
        if domain.endswith(".invalid") or ".invalid:" in domain:  # a name that by definition nobody has
            failure = RegistryFailure(f"failed to do request: lookup {domain}: no such host", again=False)
            failure.unknown_host = True
            raise failure
        mirrors = [Endpoint(m.rstrip("/"), own=False, ca=options.ca) for m in options.mirrors]
        host = f"registry-1.{HUB}" if domain == HUB else domain
        insecure = options.insecure or is_loopback(domain)
        return [*mirrors, Endpoint(host if insecure else f"https://{host}", verified=not insecure, ca=options.ca)]

    def _how(self, url: str, endpoint: Endpoint) -> dict[str, Any]:
        """The machine's proxy, and whom TLS trusts."""
        how: dict[str, Any] = {"ssl": self._trust(endpoint)}
        scheme, _, rest = url.partition("://")
        host = rest.partition("/")[0]
        proxy = urllib.request.getproxies().get(scheme)
        if proxy and not is_loopback(host) and not urllib.request.proxy_bypass(host):
            how["proxy"] = proxy
        return how

    def _trust(self, endpoint: Endpoint) -> ssl.SSLContext | bool:
        if not endpoint.verified or not endpoint.ca:
            return endpoint.verified
        if endpoint.ca not in self._contexts:
            try:
                context = ssl.create_default_context()
                context.load_verify_locations(endpoint.ca)
            except (OSError, ssl.SSLError) as error:
                raise RegistryFailure(f"the certificate authorities of {endpoint.ca} cannot be read: {error}", again=False) from error
            self._contexts[endpoint.ca] = context
        return self._contexts[endpoint.ca]


def is_loopback(domain: str) -> bool:
    """127.0.0.0/8, ::1 and localhost, with or without a port."""
    host = domain[1:].partition("]")[0] if domain.startswith("[") else domain.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
