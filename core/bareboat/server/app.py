"""The ASGI application: authenticate, impersonate, then straight to the API; a few paths of its own beside it.

Resource requests take the shortest way: no router, no middleware. What is not the API (version, metrics, key sets) is in
the ``shell``, which is built when it is first asked for.
"""

from __future__ import annotations

import logging
from typing import Any

from bareboat.api import answers
from bareboat.api.request import ApiResponse, RequestInfo
from bareboat.api.service import Service, forbidden
from bareboat.auth.authenticators import AuthenticatorChain
from bareboat.auth.authority import Authority
from bareboat.auth.impersonation import impersonated
from bareboat.contracts.auth import Attributes, UserInfo
from bareboat.models.status import ApiError, InternalError
from bareboat.server.apps import Apps
from bareboat.server.connector import Connector
from bareboat.server.exchange import Scope, credentials_of, headers_of, read_body, request_of, send_response
from bareboat.server.health import Health

log = logging.getLogger("bareboat.server")
_API = ("/api", "/openapi")


class App:
    """One API server's application."""

    def __init__(
        self,
        service: Service,
        authenticators: AuthenticatorChain,
        authority: Authority,
        health: Health,
        connector: Connector,
        shell: Any,
        apps: Apps | None = None,
    ) -> None:
        self._apps = apps or Apps()
        self._service = service
        self._authenticators = authenticators
        self._authority = authority
        self._health = health
        self._connector = connector
        self._shell = shell

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        headers = headers_of(scope)
        try:
            response = await self._respond(scope, headers, receive, send)
        except ApiError as error:
            response = answers.failure(error)
        except ConnectionResetError:
            return
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            response = answers.failure(InternalError("Internal Server Error"))
        if response is not None and not response.hijacked:
            await send_response(response, "gzip" in headers.get("accept-encoding", ""), receive, send)

    async def _respond(self, scope: Scope, headers: dict[str, str], receive: Any, send: Any) -> ApiResponse | None:
        user = await self._user(scope, headers)
        path = scope["path"]
        if path.startswith(_API):
            has_body = scope["method"] not in ("GET", "HEAD")
            request = request_of(scope, headers, user, await read_body(receive) if has_body else b"")
            return await self._service.handle(request)
        await self._authorize_path(user, scope["method"].lower(), path)
        if self._apps.concern(path):
            await self._apps.call(user, scope, receive, send)
            return None
        found = self._health.answer(path, scope["query_string"])
        if found is not None:
            return found
        await self._shell.get()(scope, receive, send)
        return None

    async def _user(self, scope: Scope, headers: dict[str, str]) -> UserInfo:
        user = await self._authenticators.authenticate(credentials_of(scope, headers))
        if not any(name.startswith("impersonate-") for name in headers):
            return user
        listed = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        return await impersonated(user, listed, self._authority)

    async def _authorize_path(self, user: UserInfo, verb: str, path: str) -> None:
        decision = await self._authority.authorize(Attributes(user=user, verb=verb, path=path))
        if decision.verdict != "Allow":
            raise forbidden(RequestInfo(verb, path), user.name, decision.reason)

    async def _websocket(self, scope: Scope, receive: Any, send: Any) -> None:
        """exec, attach and port-forward: authorized here, carried to the agent by the connector."""
        headers = headers_of(scope)
        try:
            user = await self._user({**scope, "method": "GET"}, headers)
            request = request_of({**scope, "method": "GET"}, headers, user, b"")
            await self._connector.websocket(self._service, request, scope, receive, send)
        except ApiError as error:
            await receive()
            await _refuse(send, error)


async def _refuse(send: Any, error: ApiError) -> None:
    """Answer a handshake with a Status, as HTTP."""
    response = answers.failure(error)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response.body))]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": head})
    await send({"type": "websocket.http.response.body", "body": response.body})
