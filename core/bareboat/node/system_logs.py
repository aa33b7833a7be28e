"""The machine's own logs for those who may ask nodes anything: ``/logs/`` of the kubelet's API is /var/log, listed and read.

What comes in: the path behind ``/logs``. What goes out: an ASGI answer. Nothing is found that a link leads to outside.
"""

from __future__ import annotations

import asyncio
import html
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path("/var/log")
PIECE = 1 << 16


async def answer(path: str, scope: dict[str, Any], receive: Any, send: Any, root: Path = ROOT) -> bool:
    """Whether there was anything to answer with."""
    from starlette.responses import HTMLResponse, RedirectResponse, StreamingResponse

    found = await asyncio.to_thread(_found, root, path)
    if found is None:
        return False
    if not found.is_dir():
        response: Any = StreamingResponse(_pieces(found), media_type=mimetypes.guess_type(found.name)[0] or "text/plain")
    elif not path.endswith("/"):
        response = RedirectResponse(f"{quote(Path(path).name or 'logs')}/", 301)
    else:
        response = HTMLResponse(await asyncio.to_thread(_listed, found))
    await response(scope, receive, send)
    return True


def _found(root: Path, path: str) -> Path | None:
    try:
        found = (root / path.strip("/")).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    readable = found.is_dir() or found.is_file()
    return found if readable and found.is_relative_to(root.resolve()) else None


def _pieces(file: Path) -> Iterator[bytes]:
    """To the end that it has by then: logs grow while they are read."""
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield piece


def _listed(folder: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir())
    return "<pre>\n" + "".join(f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names) + "</pre>\n"
