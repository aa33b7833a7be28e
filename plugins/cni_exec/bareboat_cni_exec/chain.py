"""The plugins of a list, called one after the other: what each gave goes to the next as ``prevResult``.

What comes in: an attachment's entry. What goes out: the last plugin's result. Which version is spoken was agreed upon before: the
highest that the configuration allows and every binary speaks.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bareboat.contracts.cni import Attachment, NetworkConfig
from bareboat.contracts.errors import DriverError, InvalidConfig, NotFound
from bareboat_cni_exec import translate
from bareboat_cni_exec.cache import Entry
from bareboat_cni_exec.conflist import ConfList
from bareboat_cni_exec.execution import Binaries


async def agreed(conf: ConfList, binaries: Binaries) -> str:
    """Raises InvalidConfig when there is none."""
    common = set(translate.VERSIONS)
    for name in dict.fromkeys(p["type"] for p in conf.plugins):
        answer = await binaries.call(name, "VERSION", {"cniVersion": "1.0.0"})
        common &= set((answer or {}).get("supportedVersions") or ())
    allowed = [v for v in translate.VERSIONS if v in common and (not conf.versions or v in conf.versions)]
    if not allowed:
        wanted = ", ".join(conf.versions) or "0.3.0 to 1.1.0"
        raise InvalidConfig(f"network {conf.name}: its binaries do not speak CNI {wanted}", reason="IncompatibleCNIVersion")
    return allowed[-1]


class Chain:
    """``conf`` in ``version``."""

    def __init__(self, binaries: Binaries, conf: ConfList, version: str, config: NetworkConfig | None) -> None:
        self.conf, self.version = conf, version
        self._binaries, self._config = binaries, config

    @classmethod
    def of(cls, entry: Entry, binaries: Binaries, config: NetworkConfig | None) -> Chain:
        """As the attachment was made."""
        return cls(binaries, ConfList(name=entry.name, plugins=entry.plugins), entry.version, config)

    def entry(self, attachment: Attachment) -> Entry:
        return Entry(attachment=attachment, name=self.conf.name, version=self.version, plugins=self.conf.plugins)

    def _stdin(self, plugin: dict[str, Any], attachment: Attachment | None, previous: Any, **more: Any) -> dict[str, Any]:
        config = {"cniVersion": self.version, "name": self.conf.name, **plugin, **more}
        config.pop("capabilities", None)
        if runtime := translate.runtime_config(plugin, attachment, self._config):
            config["runtimeConfig"] = runtime
        if previous:
            config["prevResult"] = previous
        return config

    async def _each(self, verb: str, plugin: dict[str, Any], attachment: Attachment, previous: Any) -> Any:
        about = {"container_id": attachment.container_id, "netns": attachment.netns, "ifname": attachment.ifname}
        return await self._binaries.call(plugin["type"], verb, self._stdin(plugin, attachment, previous), **about)

    async def add(self, entry: Entry) -> dict[str, Any]:
        previous: dict[str, Any] = {}
        for plugin in entry.plugins:
            answer = await self._each("ADD", plugin, entry.attachment, previous)
            if not isinstance(answer, dict):
                raise DriverError(f"{plugin['type']} gave no result", reason="PluginFailed")
            previous = answer
        return previous

    async def delete(self, entry: Entry) -> None:
        """All of them, also when one fails; then the first failure is raised."""
        problems: list[DriverError] = []
        previous = entry.result if self.version != "0.3.0" and self.version != "0.3.1" else None
        for plugin in reversed(entry.plugins):
            try:
                await self._each("DEL", plugin, entry.attachment, previous)
            except NotFound:
                continue
            except DriverError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    async def check(self, entry: Entry, *, disabled: bool) -> None:
        if disabled or self.version.startswith("0.3"):
            return
        for plugin in entry.plugins:
            await self._each("CHECK", plugin, entry.attachment, entry.result)

    async def gc(self, valid: list[Attachment]) -> None:
        if self.version != "1.1.0" or self.conf.disable_gc:
            return
        known = [{"containerID": a.container_id, "ifname": a.ifname} for a in valid]
        for plugin in self.conf.plugins:
            await self._binaries.call(plugin["type"], "GC", self._stdin(plugin, None, None, **{"cni.dev/valid-attachments": known}))

    async def status(self) -> None:
        """Raises what the first plugin that cannot work says; before 1.1 only whether the binaries are there."""
        if self.version != "1.1.0":
            for plugin in self.conf.plugins:
                await asyncio.to_thread(self._binaries.find, plugin["type"])
            return
        for plugin in self.conf.plugins:
            await self._binaries.call(plugin["type"], "STATUS", self._stdin(plugin, None, None))
