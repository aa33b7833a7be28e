"""Web applications of plugins, below /apps/NAME/: authorized as any path that is no resource, then handed their request.

In: the ASGI scope of a request whose user is known. Out: the application's own answer. It sees ``root_path`` as frameworks expect it and
the user in its scope; the credentials of the request stay here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from bareboat.contracts.auth import UserInfo
from bareboat.contracts.contributions import USER, HttpApp
from bareboat.models.status import NotFound

log = logging.getLogger("bareboat.server")
PREFIX = "/apps/"
#: Headers by which somebody could act as the one who asks.
SECRET = frozenset({b"authorization", b"cookie"})


class Apps:
    """By name."""

    def __init__(self, contributed: Iterable[HttpApp] = ()) -> None:
        self._apps = {app.name: app.app for app in contributed}

    def concern(self, path: str) -> bool:
        return bool(self._apps) and path.startswith(PREFIX)

    async def call(self, user: UserInfo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Raises NotFound; an application that crashes after it began to answer is cut off and logged."""
        name = scope["path"].removeprefix(PREFIX).partition("/")[0]
        app = self._apps.get(name)
        if app is None:
            raise NotFound("the server could not find the requested resource", details={})
        began = False

        async def watched(message: Any) -> None:
            nonlocal began
            began = True
            await send(message)

        headers = [(k, v) for k, v in scope["headers"] if k.lower() not in SECRET]
        inner = {**scope, "headers": headers, "root_path": f"{scope.get('root_path', '')}{PREFIX}{name}", USER: user}
        try:
            await app(inner, receive, watched)
        except Exception:
            if not began:
                raise
            log.exception("the application %s failed in the middle of its answer", name)
