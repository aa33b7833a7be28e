"""Aggregated APIs: groups and versions that other servers answer, registered as APIServices.

In: APIServices that name a Service. Out: their requests carried to one of its ready endpoints with the identity of the user (the
front proxy's certificate, ``X-Remote-User`` and its like), their resources in discovery, and the condition Available. Requests have
been authenticated and authorized here before they go on. Not here: groups that this server answers itself.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from bareboat.api.request import ApiRequest, ApiResponse
from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.client.client import Client
from bareboat.client.endpoints import NoEndpoint, NoPort, NoService, endpoint
from bareboat.contracts.auth import Reader, UserInfo
from bareboat.models import apiregistration_v1, core_v1, meta_v1
from bareboat.models.meta import set_condition
from bareboat.models.status import AlreadyExists, ApiError, ServiceUnavailable
from bareboat.server.agents import Agents
from bareboat.server.proxy import forwarded, returned
from bareboat.server.tunnel import Target, is_upgrade, tunnelled

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("bareboat.server")
APIService = apiregistration_v1.APIService
Pairs = list[tuple[str, str]]
#: Seconds between looks at a server, and for how long it may take to answer one.
EVERY, PATIENCE = 10.0, 5.0
#: The most that a list of resources may weigh.
LARGEST = 4 << 20
CONFIG = "extension-apiserver-authentication"
COMMON_NAME = "front-proxy-client"


@dataclass
class Remote:
    """One group and version that another server answers. ``resources`` as its discovery says, ``fault`` why it cannot be reached."""

    name: str
    spec: apiregistration_v1.APIServiceSpec
    resources: list[dict[str, Any]] = field(default_factory=list)
    fault: tuple[str, str] | None = ("FailedDiscoveryCheck", "it has not been asked yet")
    #: made at the first look; certificates are not read for every request
    tls: ssl.SSLContext | None = None


class Aggregator:
    """For one server. ``run`` looks after the registered servers."""

    def __init__(self, reader: Reader, agents: Agents, client: Client, clock: Clock, ids: Ids) -> None:
        self._reader = reader
        self._agents = agents
        self._client = client
        self._clock = clock
        self._ids = ids
        self._remotes: dict[tuple[str, str], Remote] = {}
        self._changed = asyncio.Event()
        self._identity: tuple[Path, Path] | None = None
        reader.subscribe(APIService, self._registered)

    def identify(self, certificate: Path, key: Path) -> None:
        """What this server shows to the others."""
        self._identity = certificate, key

    def reidentify(self) -> None:
        """The files have another certificate: the next request to each server shows it."""
        for remote in self._remotes.values():
            remote.tls = None

    def groups(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Group and version → resources, of the servers that answer."""
        return {key: remote.resources for key, remote in self._remotes.items() if remote.fault is None}

    async def answer(self, request: ApiRequest) -> ApiResponse | None:
        """None for what this server answers itself. Raises ServiceUnavailable."""
        if not self._remotes:
            return None
        parts = request.path.split("/", 4)
        remote = self._remotes.get((parts[2], parts[3])) if len(parts) > 3 and parts[1] == "apis" else None
        if remote is None:
            return None
        if remote.fault is not None:
            raise ServiceUnavailable("service unavailable")
        query = [(k, v) for k, values in request.query.items() for v in values]
        headers = [*forwarded(request).items(), *identity(request.user)]
        if is_upgrade(request):
            return await self._tunnel(remote, request, query, headers)
        try:
            return returned(await self._send(remote, request.method, request.path, query, request.body, headers))
        except (OSError, NoEndpoint) as error:
            raise ServiceUnavailable(f"error trying to reach service: {error}") from error

    async def _tunnel(self, remote: Remote, request: ApiRequest, query: Pairs, headers: Pairs) -> ApiResponse:
        """Raises ServiceUnavailable."""
        try:
            where, name, tls = self._place(remote)
        except NoEndpoint as error:
            raise ServiceUnavailable(f"error trying to reach service: {error}") from error
        target = Target(f"https://{where}{request.path}", query, headers, tls, name)
        return await tunnelled(request, target, self._agents.tunnels)

    def _place(self, remote: Remote) -> tuple[str, str, ssl.SSLContext]:
        """Address, name and TLS of one of its endpoints. Raises NoEndpoint."""
        service = remote.spec.service
        assert service is not None
        if remote.tls is None:
            remote.tls = self._tls(remote.spec)
        where = endpoint(self._reader, self._ids, service.namespace, service.name, str(service.port or 443))
        return where, f"{service.name}.{service.namespace}.svc", remote.tls

    async def _send(self, remote: Remote, method: str, path: str, query: Pairs, body: bytes, headers: Pairs) -> Any:
        """Raises OSError, NoEndpoint."""
        import aiohttp

        where, name, tls = self._place(remote)
        try:
            return await self._agents.session().request(
                method,
                f"https://{where}{path}",
                params=query,
                data=body or None,
                headers=headers,
                ssl=tls,
                server_hostname=name,
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    def _tls(self, spec: apiregistration_v1.APIServiceSpec) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=base64.b64decode(spec.caBundle).decode() if spec.caBundle else None)
        if spec.insecureSkipTLSVerify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self._identity is not None:
            context.load_cert_chain(*self._identity)
        return context

    def look(self) -> None:
        """At all of them again, now."""
        self._changed.set()

    def _registered(self, namespace: str, name: str) -> None:
        del namespace
        found = self._reader.get(APIService, name)
        for key, remote in list(self._remotes.items()):
            if remote.name == name and (found is None or found.spec != remote.spec):
                del self._remotes[key]
        if found is not None and found.spec.service is not None:
            key = (found.spec.group, found.spec.version)
            if key not in self._remotes:
                self._remotes[key] = Remote(name, found.spec)
        self._changed.set()

    async def run(self, ca_pem: str) -> None:
        """Publish how others recognise this server; then ask every registered one again and again."""
        await self._publish(ca_pem)
        while True:
            self._changed.clear()
            async with asyncio.TaskGroup() as looks:  # all at once: one that hangs must not keep the others waiting
                for found in list(self._reader.list(APIService)):
                    looks.create_task(self._look(found), name=f"look at {found.metadata.name}")
            try:
                async with asyncio.timeout(EVERY):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look(self, found: apiregistration_v1.APIService) -> None:
        remote = self._remotes.get((found.spec.group, found.spec.version))
        if found.spec.service is None or remote is None or remote.name != found.metadata.name:
            await self._tell(found, "True", "Local", "Local APIServices are always available")
            return
        remote.fault = await self._ask(remote)
        reason, message = remote.fault or ("Passed", "all checks passed")
        await self._tell(found, "False" if remote.fault else "True", reason, message)

    async def _ask(self, remote: Remote) -> tuple[str, str] | None:
        """Its discovery, or what is wrong."""
        spec = remote.spec
        path = f"/apis/{spec.group}/{spec.version}"
        who = UserInfo(name="system:kube-aggregator", groups=("system:masters",))
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self._send(remote, "GET", path, [], b"", [("accept", "application/json"), *identity(who)])
                body = await _bounded(response)
        except NoEndpoint as error:
            return _missing(spec.service, error)
        except (OSError, TimeoutError, ValueError) as error:
            return "FailedDiscoveryCheck", f"failing or missing response from {path}: {error}"
        if response.status != 200:
            return "FailedDiscoveryCheck", f"failing or missing response from {path}: bad status from {path}: {response.status}"
        try:
            remote.resources = msgspec.json.decode(body)["resources"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            return "FailedDiscoveryCheck", f"failing or missing response from {path}: {error}"
        return None

    async def _tell(self, found: apiregistration_v1.APIService, status: str, reason: str, message: str) -> None:
        conditions = found.status.conditions
        now = self._clock.timestamp()
        if not set_condition(conditions, "Available", status, reason, message, now, cls=apiregistration_v1.APIServiceCondition):
            return
        try:
            await self._client.update(found, subresource="status")
        except ApiError as error:  # changed meanwhile: the change brings the next look
            log.debug("condition of APIService %s: %s", found.metadata.name, error)

    async def _publish(self, ca_pem: str) -> None:
        """How an aggregated server recognises this one, and the clients of this one."""
        data = {
            "client-ca-file": ca_pem,
            "requestheader-client-ca-file": ca_pem,
            "requestheader-allowed-names": f'["{COMMON_NAME}"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }
        wanted = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=CONFIG, namespace="kube-system"), data=data)
        try:
            await self._client.create(wanted)
        except AlreadyExists:
            await self._client.patch(core_v1.ConfigMap, CONFIG, {"data": data}, "kube-system")


async def _bounded(response: Any) -> bytes:
    """Raises ValueError for a body that is no list of resources, whatever it says."""
    try:
        body: bytes = await response.content.read(LARGEST + 1)
        while more := await response.content.read(LARGEST + 1 - len(body)):
            body += more
    finally:
        response.close()
    if len(body) > LARGEST:
        raise ValueError(f"the answer is longer than {LARGEST} bytes")
    return body


def _missing(service: Any, error: NoEndpoint) -> tuple[str, str]:
    """Reason and message of the condition."""
    where = f'service/{service.name} in "{service.namespace}"'
    if isinstance(error, NoService):
        return "ServiceNotFound", f"{where} is not present"
    if isinstance(error, NoPort):
        return "ServicePortError", f"{where} is not listening on port {service.port or 443}"
    return "MissingEndpoints", f"endpoints for {where} have no addresses"


def identity(user: UserInfo) -> Pairs:
    """The headers that tell another server who asks; one for every group."""
    headers = [("x-remote-user", user.name), *(("x-remote-group", group) for group in user.groups)]
    if user.uid:
        headers.append(("x-remote-uid", user.uid))
    return [*headers, *((f"x-remote-extra-{quote(key.lower())}", value) for key, values in user.extra.items() for value in values)]
