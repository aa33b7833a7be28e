"""A node's images for administrators: list, load from a file that is sent, remove what is unused. Behind the agent's own API.

What comes in: ``list``, ``load`` with a tar as the body, ``prune``. What goes out: trees for JSON. Not here: who may ask (``api``).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from bareboat.contracts import cri
from bareboat.contracts.errors import NotFound, Unsupported
from bareboat.node import unused_images


class ImageFace:
    """Of one node's default runtime; ``scratch`` is where files wait while they are read."""

    def __init__(self, runtime: cri.RuntimeDriver, scratch: Path) -> None:
        self._runtime = runtime
        self._scratch = scratch

    async def answer(self, verb: str, query: Mapping[str, str], receive: Any) -> dict[str, Any]:
        """Raises DriverError."""
        if verb == "list":
            return {"images": [msgspec.to_builtins(image) for image in await self._runtime.list_images()]}
        if verb == "load":
            return {"ids": await self._load(query.get("tag", ""), receive)}
        if verb == "prune":
            return {"images": [msgspec.to_builtins(image) for image in await self._prune(everything=query.get("all") == "true")]}
        raise NotFound(f"there is no images/{verb}")

    async def _load(self, tag: str, receive: Any) -> list[str]:
        if not isinstance(self._runtime, cri.ImageLoading):
            raise Unsupported("the node's runtime does not load images from files")
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix=".image-") as file:
            await _store(file, receive)
            return await self._runtime.load_image(file.name, tag)

    async def _prune(self, *, everything: bool) -> list[cri.Image]:
        if not isinstance(self._runtime, cri.ImageRemoval):
            raise Unsupported("the node's runtime does not remove images")
        images = [image for image in await unused_images.unused(self._runtime) if everything or not image.tags]
        return await unused_images.remove(self._runtime, images)


async def _store(file: IO[bytes], receive: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client went away in the middle of the file")
        await asyncio.to_thread(file.write, message.get("body", b""))
        if not message.get("more_body"):
            await asyncio.to_thread(file.flush)
            return
