"""The contract's verbs over this node's disk.

What comes in: requests. What goes out: one blocking call on the host's pool per request, and one at a time per volume: who comes meanwhile
is told InProgress, also when the caller of the first has given up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from bareboat.contracts import csi, csi_checks
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import DriverError, Unavailable
from bareboat.contracts.one_at_a_time import OneAtATime
from bareboat_csi_local.host import HostError
from bareboat_csi_local.making import Making, refusal
from bareboat_csi_local.options import LocalStorageOptions
from bareboat_csi_local.showing import Showing

P = ParamSpec("P")
T = TypeVar("T")
NAME = "local.csi.bareboat.io"
TOPOLOGY = f"topology.{NAME}/node"


class LocalNode(csi.Staging, csi.NodeExpansion, csi.Stats):
    """The node's verbs."""

    options: LocalStorageOptions

    def __init__(self, options: LocalStorageOptions, host: Host) -> None:
        super().__init__(options, host)
        self._topology = {TOPOLOGY: host.node_name}
        directory = Path(options.directory) if options.directory else host.state_dir
        self._making = Making(directory, options.capacity, self._topology)
        self._showing = Showing(self._making)
        self._one = OneAtATime(host)

    async def open(self) -> None:
        await self.host.blocking(self._making.open)

    async def status(self) -> Health:
        try:
            await self.host.blocking(self._making.left)
        except OSError as error:
            return Health(ready=False, reason="DiskUnavailable", message=str(error))
        return Health(ready=True)

    async def _on(self, key: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._one.run(key, _translated(call), *args, **kwargs)

    async def node_get_info(self) -> csi.NodeInfo:
        return csi.NodeInfo(node_id=self.host.node_name, topology=self._topology)

    async def node_stage_volume(self, request: csi.NodeStage) -> None:
        await self._on(request.volume_id, self._showing.stage, request)

    async def node_unstage_volume(self, volume_id: str, staging_target_path: str) -> None:
        await self._on(volume_id, self._showing.unstage, volume_id, staging_target_path)

    async def node_publish_volume(self, request: csi.NodePublish) -> None:
        await self._on(request.volume_id, self._showing.publish, request)

    async def node_unpublish_volume(self, volume_id: str, target_path: str) -> None:
        await self._on(volume_id, self._showing.unpublish, volume_id, target_path)

    async def node_expand_volume(
        self, volume_id: str, volume_path: str, capacity: csi.CapacityRange, capability: csi.VolumeCapability | None = None
    ) -> int:
        del capability
        return await self._on(volume_id, self._showing.expand, volume_id, volume_path, capacity)

    async def node_get_volume_stats(self, volume_id: str, volume_path: str) -> csi.VolumeUsage:
        return await self.host.blocking(_translated(self._showing.usage), volume_id, volume_path)


class LocalDriver(LocalNode, csi.Provisioning, csi.Listing, csi.CapacityReport, csi.Snapshots, csi.Expansion):
    """All verbs."""

    capabilities = csi.Capabilities(
        provisioning=True,
        listing=True,
        capacity=True,
        snapshots=True,
        expansion=True,
        staging=True,
        node_expansion=True,
        stats=True,
        cloning=True,
        topology=True,
        ephemeral=True,
        scope="node",
    )

    async def create_volume(self, request: csi.CreateVolume) -> csi.Volume:
        return await self._on(f"name:{request.name}", self._making.create, request)

    async def delete_volume(self, volume_id: str, secrets: dict[str, str] | None = None) -> None:
        del secrets
        await self._on(volume_id, self._making.delete, volume_id)

    async def validate_volume_capabilities(
        self, volume_id: str, capabilities: tuple[csi.VolumeCapability, ...], parameters: dict[str, str] | None = None
    ) -> csi.Confirmed:
        del parameters
        csi_checks.given(volume_id=volume_id)
        csi_checks.check_capabilities(capabilities)
        record = await self.host.blocking(self._making.volumes.get, volume_id)
        for capability in capabilities:
            why = refusal(capability)
            if capability.block != record.block:
                why = why or f"the volume is {'a device' if record.block else 'a mount'}"
            if why:
                return csi.Confirmed(confirmed=False, message=why)
        return csi.Confirmed(confirmed=True)

    async def list_volumes(self, max_entries: int = 0, starting_token: str = "") -> csi.VolumePage:
        records = await self.host.blocking(self._making.volumes.all)
        entries = [csi.VolumeEntry(volume=r.volume) for r in records if not r.name.startswith("inline:")]
        found, token = csi_checks.page(entries, max_entries, starting_token)
        return csi.VolumePage(entries=found, next_token=token)

    async def get_capacity(
        self,
        capabilities: tuple[csi.VolumeCapability, ...] = (),
        parameters: dict[str, str] | None = None,
        topology: csi.Segments | None = None,
    ) -> csi.Capacity:
        del parameters
        if (topology and topology != self._topology) or any(refusal(c) for c in capabilities):
            return csi.Capacity(available=0)
        return csi.Capacity(available=await self.host.blocking(self._making.left))

    async def create_snapshot(
        self, name: str, source_volume_id: str, parameters: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> csi.Snapshot:
        del parameters, secrets
        now = datetime.fromisoformat(self.host.clock.micro())
        moment = int(now.timestamp()) * 10**9 + now.microsecond * 1000
        return await self._on(source_volume_id, self._making.snapshot, name, source_volume_id, moment)

    async def delete_snapshot(self, snapshot_id: str, secrets: dict[str, str] | None = None) -> None:
        del secrets
        csi_checks.given(snapshot_id=snapshot_id)
        await self._on(snapshot_id, self._making.snapshots.remove, snapshot_id)

    async def list_snapshots(
        self, max_entries: int = 0, starting_token: str = "", source_volume_id: str = "", snapshot_id: str = ""
    ) -> csi.SnapshotPage:
        records = await self.host.blocking(self._making.snapshots.all)
        entries = [
            r.snapshot
            for r in records
            if source_volume_id in ("", r.snapshot.source_volume_id) and snapshot_id in ("", r.snapshot.snapshot_id)
        ]
        found, token = csi_checks.page(entries, max_entries, starting_token)
        return csi.SnapshotPage(entries=found, next_token=token)

    async def controller_expand_volume(
        self,
        volume_id: str,
        capacity: csi.CapacityRange,
        capability: csi.VolumeCapability | None = None,
        secrets: dict[str, str] | None = None,
    ) -> csi.Expanded:
        del capability, secrets
        return await self._on(volume_id, self._making.expand, volume_id, capacity)


def _translated(call: Callable[P, T]) -> Callable[P, T]:
    """Failures of the machine as the contract's errors."""

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except HostError as error:
            raise DriverError(str(error), reason="HostFailed") from error
        except OSError as error:
            raise Unavailable(str(error), reason="DiskUnavailable") from error

    return run
