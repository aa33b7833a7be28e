"""One call of one CNI binary: environment and configuration in, JSON out.

What comes in: a verb and what it is about. What goes out: the decoded answer, or the contract's error with the binary's own message.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from bareboat.contracts.errors import DriverError, InvalidConfig, Unavailable
from bareboat_cni_exec import translate


class Binaries:
    """Those of some directories, searched in order."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path, self._timeout = path, timeout

    def find(self, name: str) -> str:
        """Raises InvalidConfig."""
        for directory in self._path.split(":"):
            candidate = Path(directory) / name
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return str(candidate)
        raise InvalidConfig(f"no CNI binary {name!r} in {self._path}", reason="PluginMissing")

    async def call(self, name: str, verb: str, config: dict[str, Any], **about: str) -> Any:
        """``about``: container_id, netns, ifname. The answer is None where the verb has none."""
        environment = {"PATH": os.environ.get("PATH", ""), "CNI_COMMAND": verb, "CNI_PATH": self._path}
        for word, value in about.items():
            environment[f"CNI_{word.replace('_', '').upper()}"] = value
        if "container_id" in about:
            environment["CNI_ARGS"] = f"IgnoreUnknown=1;K8S_POD_INFRA_CONTAINER_ID={about['container_id']}"
        code, output, complaint = await self._run(self.find(name), environment, msgspec.json.encode(config))
        answer = _decoded(output)
        if code == 0:
            return answer
        if answer is None and complaint:
            raise DriverError(f"{name}: {complaint}", reason="PluginFailed")
        raise translate.error_of(answer, name)

    async def _run(self, binary: str, environment: dict[str, str], config: bytes) -> tuple[int, bytes, str]:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(binary, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise Unavailable(f"{binary}: {error}", reason="PluginFailed") from error
        try:
            async with asyncio.timeout(self._timeout):
                output, complaint = await process.communicate(config)
        except TimeoutError as error:
            raise Unavailable(f"{binary} did not end within {self._timeout:g} s", reason="PluginTimeout") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output, complaint.decode(errors="replace").strip()[-500:]


def _decoded(output: bytes) -> Any:
    try:
        return msgspec.json.decode(output) if output.strip() else None
    except msgspec.DecodeError:
        return None
