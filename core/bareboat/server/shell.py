"""What is beside the API: version, metrics, token key sets, the list of paths. FastAPI, imported at the first such request, beside the
loop: that takes a quarter of a second.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from typing import Any

import bareboat

KUBERNETES = ("1", "36", "v1.36.0")


class Shell:
    """``get`` builds the application once."""

    def __init__(
        self, jwks: Callable[[], dict[str, Any]], issuer: str, metrics: Callable[[], bytes], paths: Callable[[], list[str]]
    ) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._metrics = metrics
        self._paths = paths
        self._app: Any = None

    async def get(self) -> Any:
        if self._app is None:
            built = await asyncio.to_thread(self._build)
            self._app = self._app or built
        return self._app

    def _build(self) -> Any:
        import prometheus_client  # noqa: F401  what metrics are written with
        from fastapi import FastAPI
        from fastapi.responses import JSONResponse, PlainTextResponse

        async def metrics() -> PlainTextResponse:
            return PlainTextResponse(self._metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

        async def paths() -> dict[str, list[str]]:
            return {"paths": self._paths()}

        async def keys() -> JSONResponse:
            return JSONResponse(self._jwks(), media_type="application/jwk-set+json")

        async def nowhere(request: Any, error: Any) -> PlainTextResponse:
            del request, error
            return PlainTextResponse("404 page not found\n", 404)

        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, exception_handlers={404: nowhere})
        app.add_api_route("/version", version)
        app.add_api_route("/metrics", metrics, response_model=None)
        app.add_api_route("/", paths)
        app.add_api_route("/openid/v1/jwks", keys, response_model=None)
        app.add_api_route("/.well-known/openid-configuration", self._discovery)
        return app

    async def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self._issuer,
            "jwks_uri": f"{self._issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


async def version() -> dict[str, str]:
    major, minor, full = KUBERNETES
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{full}+bareboat.{bareboat.__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{'amd64' if platform.machine() == 'x86_64' else platform.machine()}",
    }
