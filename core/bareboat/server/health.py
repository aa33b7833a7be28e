"""/healthz, /livez, /readyz: named checks, each with a path of its own, all of them with ``?verbose``."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from bareboat.api.request import ApiResponse

Check = Callable[[], str]
_ROOTS = ("/healthz", "/livez", "/readyz")


class Health:
    """A check gives "" when all is well, else what is wrong."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {"ping": lambda: ""}
        self._ready_only: set[str] = set()

    def add(self, name: str, check: Check, *, ready_only: bool = False) -> None:
        """``ready_only`` checks count for /readyz but not for /livez and /healthz."""
        self._checks[name] = check
        if ready_only:
            self._ready_only.add(name)

    def answer(self, path: str, query: bytes) -> ApiResponse | None:
        """None if the path is no health path."""
        root = next((r for r in _ROOTS if path == r or path.startswith(r + "/")), None)
        if root is None:
            return None
        name = path[len(root) :].strip("/")
        if name:
            return self._one(name)
        given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        excluded = {n for value in given.get("exclude", []) for n in value.split(",")}
        checks = {n: c() for n, c in self._checks.items() if n not in excluded and (root == "/readyz" or n not in self._ready_only)}
        failed = [n for n, fault in checks.items() if fault]
        if "verbose" not in given and not failed:
            return _text(200, "ok")
        lines = [f"[-]{n} failed: {fault}" if fault else f"[+]{n} ok" for n, fault in checks.items()]
        verdict = f"{root[1:]} check failed" if failed else f"{root[1:]} check passed"
        return _text(500 if failed else 200, "\n".join([*lines, verdict, ""]))

    def _one(self, name: str) -> ApiResponse:
        check = self._checks.get(name)
        if check is None:
            return _text(404, "404 page not found\n")
        fault = check()
        return _text(500, f"internal server error: {fault}\n") if fault else _text(200, "ok")


def _text(status: int, text: str) -> ApiResponse:
    return ApiResponse(status, text.encode(), "text/plain; charset=utf-8", {"x-content-type-options": "nosniff"})
