"""Pulls under way: each on a thread of its own, for it may take minutes, and no pool has room for that.

What comes in: a reference and credentials. What goes out: the image's id. Who asks for what is being pulled already waits for the same
pull. One that makes no progress for too long is given up for its waiters; a call that comes later joins it again if it still runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from bareboat.contracts.cri import Credentials, Progress
from bareboat.contracts.errors import DriverError, NotFound, Unavailable
from bareboat_cri_docker import translate
from bareboat_cri_docker.images import Images

_LOOK = 1.0


class Pull:
    """``outcome`` is the id, or what went wrong."""

    def __init__(self, images: Images, image: str, credentials: Credentials | None) -> None:
        self.progress = Progress(stage="Waiting")
        self.moved = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[str | Exception] = self._loop.create_future()
        threading.Thread(target=self._run, args=(images, image, credentials), name="docker-pull", daemon=True).start()

    def _run(self, images: Images, image: str, credentials: Credentials | None) -> None:
        outcome: str | Exception
        try:
            outcome = images.pull(image, credentials, self._report)
        except DriverError as error:
            outcome = error
        except OSError as error:
            outcome = translate.failure(error)
        except Exception as error:  # noqa: BLE001  what breaks off a stream is not of one family; it is raised where the pull is awaited
            outcome = Unavailable(f"the Docker daemon broke off the pull of {image}: {error}")
        try:
            self._loop.call_soon_threadsafe(self.outcome.set_result, outcome)
        except RuntimeError:  # the loop has ended with the agent; the image is there for the next one
            return

    def _report(self, progress: Progress) -> None:
        if progress != self.progress:
            self.progress, self.moved = progress, time.monotonic()


class Pulls:
    """Lives on the driver's event loop."""

    def __init__(self, images: Images, patience: float, log: logging.Logger) -> None:
        self._images, self._patience, self._log = images, patience, log
        self._running: dict[tuple[str, Credentials | None], Pull] = {}

    async def pull(self, image: str, credentials: Credentials | None) -> str:
        key = (image, credentials)
        pull = self._running.get(key)
        if pull is None:
            pull = self._running[key] = Pull(self._images, image, credentials)
            pull.outcome.add_done_callback(lambda _: self._running.pop(key, None))
        while not (await asyncio.wait((pull.outcome,), timeout=_LOOK))[0]:
            progress = pull.progress
            self._log.debug("pulling %s: %s, %d of %d bytes", image, progress.stage, progress.done, progress.total)
            if time.monotonic() - pull.moved > self._patience:
                message = f"failed to pull {image}: no progress for {self._patience:g} s after {progress.stage!r}"
                raise NotFound(message, reason="ErrImagePull")
        outcome = pull.outcome.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
