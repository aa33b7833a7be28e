"""Own time by stage: the functions that are the stages, wrapped for as long as a context is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch


class Meter:
    """``stages``: name and function of each. They are awaited one after the other, so a stack tells which is inside which."""

    def __init__(self, stages: list[tuple[str, str]]) -> None:
        self.own: dict[str, float] = {stage: 0.0 for stage, _ in stages}
        self._stages = stages
        self._stack: list[float] = []

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        self._stack.append(0.0)
        began = time.thread_time()
        try:
            yield
        finally:
            took = time.thread_time() - began
            self.own[stage] += took - self._stack.pop()
            if self._stack:
                self._stack[-1] += took

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def waited(*arguments: Any, **named: Any) -> Any:
            with self.timed(stage):
                return await call(*arguments, **named)

        def called(*arguments: Any, **named: Any) -> Any:
            with self.timed(stage):
                return call(*arguments, **named)

        return waited if asyncio.iscoroutinefunction(call) else called

    def wrap(self, stack: ExitStack) -> None:
        """Until ``stack`` is closed."""
        for stage, path in self._stages:
            stack.enter_context(patch(path, self.around(stage, resolve_name(path))))

    def micros(self, count: int, total: float, plain: float) -> dict[str, float]:
        """Microseconds of each of ``count`` requests. ``total`` seconds were spent with the wrapping and ``plain`` without."""
        found = {stage: seconds / count * 1e6 for stage, seconds in self.own.items()}
        found["the rest"] = (total - sum(self.own.values())) / count * 1e6
        found["total, not wrapped"] = plain / count * 1e6
        return found
