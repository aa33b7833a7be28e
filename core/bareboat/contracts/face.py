"""The second face of a driver: served on the standard socket of its upstream specification, for others than Bareboat to use.

A face is named by an entry point of the group, whose name is the contract's short name (``csi``, ``cri``). ``bareboat serve`` opens a
driver as an agent would and runs the face over it: every call of the socket is one verb, every error one status code, and back.

Life cycle: Face(driver, socket) → run, until cancelled: the socket is there, and gone afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from bareboat.contracts.driver import NoOptions, PluginInfo

GROUP = "bareboat.face.v1alpha1"


class Face(ABC):
    """``driver`` is open already, and closed by who opened it."""

    info: ClassVar[PluginInfo]
    Options: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, driver: Any, socket: Path) -> None:
        self.driver = driver
        self.socket = socket

    @abstractmethod
    async def run(self) -> None:
        """Serve until cancelled. The socket is the owner's alone (mode 0600)."""
