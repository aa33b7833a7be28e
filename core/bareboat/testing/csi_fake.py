"""A storage driver without storage: volumes are directories below its state, published as links. For tests of what stands above drivers.

What comes in: the contract's verbs. What goes out: records in one file, which outlive the process. Faults come from the options, and from
the StorageClass: its parameter ``fail`` ("node_publish_volume:Unavailable:2", separated by commas) makes a verb of those volumes fail,
so many times or always. ``slow`` makes their verbs take so many seconds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bareboat.contracts import csi, csi_checks, errors
from bareboat.contracts.driver import Health, Host, PluginInfo

NODE = "topology.fake.csi.bareboat.io/node"
PARAMETERS = ("fail", "slow", "speed")
UNIT = 1024


class FakeStorageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``capacity`` in bytes of all volumes; ``fail`` and ``slow`` as in a StorageClass, for all; ``attach`` and ``scope``: capabilities."""

    capacity: int = 1 << 40
    fail: str = ""
    slow: float = 0.0
    attach: bool = True
    scope: str = "cluster"
    max_volumes: int = 0


class Record(msgspec.Struct, kw_only=True):
    name: str
    volume: csi.Volume
    block: bool = False
    attached: dict[str, bool] = {}
    staged: dict[str, csi.VolumeCapability] = {}
    published: dict[str, tuple[csi.VolumeCapability, bool]] = {}
    speed: str = ""


class Records(msgspec.Struct, kw_only=True):
    volumes: dict[str, Record] = {}
    snapshots: dict[str, tuple[str, csi.Snapshot]] = {}
    made: int = 0


class FakeState:
    """The records, read from and written to the driver's own directory, and the faults that are still to come."""

    def __init__(self, options: FakeStorageOptions, host: Host) -> None:
        self.options, self.host = options, host
        self._file = host.state_dir / "records.json"
        self._failed: dict[tuple[str, str], int] = {}
        self.records = Records()

    def load(self) -> None:
        if self._file.exists():
            self.records = msgspec.json.decode(self._file.read_bytes(), type=Records)

    def save(self) -> None:
        self._file.write_bytes(msgspec.json.encode(self.records))

    def data(self, volume_id: str) -> Path:
        return self.host.state_dir / "volumes" / volume_id

    def record(self, volume_id: str) -> Record:
        if volume_id not in self.records.volumes:
            raise errors.NotFound(f"volume {volume_id!r} is unknown")
        return self.records.volumes[volume_id]

    def of(self, name: str) -> Record | None:
        return next((r for r in self.records.volumes.values() if r.name == name), None)

    def id(self, kind: str) -> str:
        self.records.made += 1
        return f"{kind}-{self.records.made}"

    async def faults(self, verb: str, context: dict[str, str], about: str) -> None:
        """Waits and fails as told. Raises DriverError."""
        slow = float(context.get("slow", self.options.slow))
        if slow:
            await self.host.clock.sleep(slow)
        for entry in filter(None, (context.get("fail", "") or self.options.fail).split(",")):
            name, reason, times = (*entry.split(":"), "", "")[:3]
            count = self._failed.get((verb, about), 0)
            if name == verb and (not times or count < int(times)):
                self._failed[verb, about] = count + 1
                raise getattr(errors, reason or "Unavailable", errors.DriverError)(f"{verb} fails as it was told to")


class FakeNode(csi.Staging, csi.NodeExpansion, csi.Stats):
    """The node's verbs."""

    info = PluginInfo(name="fake", summary="Volumes that are records, for tests", contract=csi.GROUP)
    Options = FakeStorageOptions
    driver_name = "fake.csi.bareboat.io"
    options: FakeStorageOptions

    def __init__(self, options: FakeStorageOptions, host: Host) -> None:
        super().__init__(options, host)
        self._state = FakeState(options, host)
        local = options.scope == "node"
        flags = {"scope": "node" if local else "cluster", "topology": local, "attaching": options.attach and not local}
        names = (*csi.MIXINS, "cloning", "ephemeral")
        self.capabilities = msgspec.convert({**dict.fromkeys(names, True), **flags}, csi.Capabilities)

    async def open(self) -> None:
        self._state.load()

    async def status(self) -> Health:
        return Health(ready=True)

    async def node_get_info(self) -> csi.NodeInfo:
        topology = {NODE: self.host.node_name} if self.capabilities.topology else {}
        return csi.NodeInfo(node_id=f"fake-{self.host.node_name}", max_volumes=self.options.max_volumes, topology=topology)

    async def node_stage_volume(self, request: csi.NodeStage) -> None:
        capability = csi_checks.check_stage(request)
        record = self._state.record(request.volume_id)
        await self._state.faults("node_stage_volume", record.volume.context, request.volume_id)
        if record.staged.setdefault(request.staging_target_path, capability) != capability:
            raise errors.Conflict(f"{request.volume_id} is staged otherwise")
        self._state.save()

    async def node_unstage_volume(self, volume_id: str, staging_target_path: str) -> None:
        csi_checks.given(volume_id=volume_id, staging_target_path=staging_target_path)
        record = self._state.records.volumes.get(volume_id)
        if record is None or staging_target_path not in record.staged:
            return
        if record.published:
            raise csi.VolumeInUse(f"{volume_id} is published")
        await self._state.faults("node_unstage_volume", record.volume.context, volume_id)
        del record.staged[staging_target_path]
        self._state.save()

    async def node_publish_volume(self, request: csi.NodePublish) -> None:
        capability = csi_checks.check_publish(request)
        inline = request.volume_context.get(csi.EPHEMERAL) == "true"
        if inline and request.volume_id not in self._state.records.volumes:
            volume = csi.Volume(volume_id=request.volume_id, context=request.volume_context)
            self._state.records.volumes[request.volume_id] = Record(name="", volume=volume)
        record = self._state.record(request.volume_id)
        await self._state.faults("node_publish_volume", record.volume.context, request.volume_id)
        if not inline and request.staging_target_path not in record.staged:
            raise errors.InvalidConfig(f"{request.volume_id} is not staged")
        if record.published.setdefault(request.target_path, (capability, request.readonly)) != (capability, request.readonly):
            raise errors.Conflict(f"{request.volume_id} is published there otherwise")
        data, target = self._state.data(request.volume_id), Path(request.target_path)
        data.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink():
            target.symlink_to(data)
        self._state.save()

    async def node_unpublish_volume(self, volume_id: str, target_path: str) -> None:
        csi_checks.given(volume_id=volume_id, target_path=target_path)
        Path(target_path).unlink(missing_ok=True)
        record = self._state.records.volumes.get(volume_id)
        if record is None or target_path not in record.published:
            return
        await self._state.faults("node_unpublish_volume", record.volume.context, volume_id)
        del record.published[target_path]
        if not record.name and not record.published:
            del self._state.records.volumes[volume_id]
            shutil.rmtree(self._state.data(volume_id))
        self._state.save()

    async def node_expand_volume(
        self, volume_id: str, volume_path: str, capacity: csi.CapacityRange, capability: csi.VolumeCapability | None = None
    ) -> int:
        del capability
        record = self._at(volume_id, volume_path)
        csi_checks.check_capacity(capacity)
        await self._state.faults("node_expand_volume", record.volume.context, volume_id)
        return record.volume.capacity_bytes

    async def node_get_volume_stats(self, volume_id: str, volume_path: str) -> csi.VolumeUsage:
        record = self._at(volume_id, volume_path)
        used = sum(p.stat().st_size for p in self._state.data(volume_id).rglob("*") if p.is_file())
        total = max(used, record.volume.capacity_bytes)
        return csi.VolumeUsage(total_bytes=total, used_bytes=used, available_bytes=total - used)

    def _at(self, volume_id: str, path: str) -> Record:
        csi_checks.given(volume_id=volume_id, volume_path=path)
        record = self._state.record(volume_id)
        if path not in record.published and path not in record.staged:
            raise errors.NotFound(f"{volume_id} is not at {path}")
        return record


class FakeStorage(FakeNode, csi.Provisioning, csi.Listing, csi.CapacityReport, csi.Snapshots, csi.Attaching, csi.Expansion, csi.Modifying):
    """All verbs."""

    async def create_volume(self, request: csi.CreateVolume) -> csi.Volume:
        csi_checks.check_create(request, PARAMETERS)
        await self._state.faults("create_volume", request.parameters, request.name)
        known = self._state.of(request.name)
        if known is not None:
            csi_checks.check_same(request, known.volume)
            if known.block != request.capabilities[0].block:
                raise errors.Conflict(f"volume {request.name!r} exists with another kind of access")
            return known.volume
        topology = (await self.node_get_info()).topology
        if not csi_checks.reachable(topology, request.topology):
            raise errors.Exhausted("no volume can be made there")
        volume = self._new(request, topology)
        self._state.save()
        return volume

    def _new(self, request: csi.CreateVolume, topology: csi.Segments) -> csi.Volume:
        size, data = request.capacity.required or UNIT, None
        if request.source is not None:
            data, least = self._source(request.source)
            size = max(size, least) if not request.capacity.required else size
            if size < least or (request.capacity.limit and request.capacity.limit < least):
                raise errors.InvalidConfig(f"the source needs {least} bytes")
        self._room(size)
        volume_id = self._state.id("vol")
        if data is not None and data.exists():
            shutil.copytree(data, self._state.data(volume_id))
        volume = csi.Volume(
            volume_id=volume_id,
            capacity_bytes=size,
            context=request.parameters,
            source=request.source,
            topology=(topology,) if topology else (),
        )
        self._state.records.volumes[volume_id] = Record(name=request.name, volume=volume, block=request.capabilities[0].block)
        return volume

    def _source(self, source: csi.ContentSource) -> tuple[Path, int]:
        if source.volume_id:
            return self._state.data(source.volume_id), self._state.record(source.volume_id).volume.capacity_bytes
        if source.snapshot_id not in self._state.records.snapshots:
            raise errors.NotFound(f"snapshot {source.snapshot_id!r} is unknown")
        return self._state.data(source.snapshot_id), self._state.records.snapshots[source.snapshot_id][1].size_bytes

    def _room(self, size: int) -> None:
        if size > self._left():
            raise errors.Exhausted(f"{size} bytes are more than the {self._left()} that are left")

    def _left(self) -> int:
        return self.options.capacity - sum(r.volume.capacity_bytes for r in self._state.records.volumes.values())

    async def delete_volume(self, volume_id: str, secrets: dict[str, str] | None = None) -> None:
        del secrets
        csi_checks.given(volume_id=volume_id)
        record = self._state.records.volumes.get(volume_id)
        if record is None:
            return
        await self._state.faults("delete_volume", record.volume.context, volume_id)
        if record.staged or record.published or record.attached:
            raise csi.VolumeInUse(f"{volume_id} is in use")
        self._state.records.volumes.pop(volume_id, None)
        shutil.rmtree(self._state.data(volume_id), ignore_errors=True)
        self._state.save()

    async def validate_volume_capabilities(
        self, volume_id: str, capabilities: tuple[csi.VolumeCapability, ...], parameters: dict[str, str] | None = None
    ) -> csi.Confirmed:
        del parameters
        csi_checks.given(volume_id=volume_id)
        csi_checks.check_capabilities(capabilities)
        self._state.record(volume_id)
        if any(c.access_mode == "MULTI_NODE_MULTI_WRITER" for c in capabilities):
            return csi.Confirmed(confirmed=False, message="one writer at a time")
        return csi.Confirmed(confirmed=True)

    async def list_volumes(self, max_entries: int = 0, starting_token: str = "") -> csi.VolumePage:
        named = sorted((r for r in self._state.records.volumes.values() if r.name), key=lambda r: r.volume.volume_id)
        entries = [csi.VolumeEntry(volume=r.volume, published_node_ids=tuple(r.attached)) for r in named]
        found, token = csi_checks.page(entries, max_entries, starting_token)
        return csi.VolumePage(entries=found, next_token=token)

    async def get_capacity(
        self,
        capabilities: tuple[csi.VolumeCapability, ...] = (),
        parameters: dict[str, str] | None = None,
        topology: csi.Segments | None = None,
    ) -> csi.Capacity:
        del capabilities, parameters
        own = (await self.node_get_info()).topology
        if topology and own and topology != own:
            return csi.Capacity(available=0)
        return csi.Capacity(available=self._left())

    async def create_snapshot(
        self, name: str, source_volume_id: str, parameters: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> csi.Snapshot:
        del parameters, secrets
        csi_checks.given(name=name, source_volume_id=source_volume_id)
        for known, snapshot in self._state.records.snapshots.values():
            if known == name and snapshot.source_volume_id != source_volume_id:
                raise errors.Conflict(f"snapshot {name!r} exists of another volume")
            if known == name:
                return snapshot
        record = self._state.record(source_volume_id)
        made = csi.Snapshot(
            snapshot_id=self._state.id("snap"),
            source_volume_id=source_volume_id,
            size_bytes=record.volume.capacity_bytes,
            created_at=_nanoseconds(self.host),
        )
        self._state.records.snapshots[made.snapshot_id] = (name, made)
        if self._state.data(source_volume_id).exists():
            shutil.copytree(self._state.data(source_volume_id), self._state.data(made.snapshot_id))
        self._state.save()
        return made

    async def delete_snapshot(self, snapshot_id: str, secrets: dict[str, str] | None = None) -> None:
        del secrets
        csi_checks.given(snapshot_id=snapshot_id)
        if self._state.records.snapshots.pop(snapshot_id, None) is not None:
            shutil.rmtree(self._state.data(snapshot_id), ignore_errors=True)
            self._state.save()

    async def list_snapshots(
        self, max_entries: int = 0, starting_token: str = "", source_volume_id: str = "", snapshot_id: str = ""
    ) -> csi.SnapshotPage:
        entries = [
            s
            for _, s in self._state.records.snapshots.values()
            if source_volume_id in ("", s.source_volume_id) and snapshot_id in ("", s.snapshot_id)
        ]
        found, token = csi_checks.page(entries, max_entries, starting_token)
        return csi.SnapshotPage(entries=found, next_token=token)

    async def controller_publish_volume(
        self,
        volume_id: str,
        node_id: str,
        capability: csi.VolumeCapability,
        readonly: bool = False,
        volume_context: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
    ) -> dict[str, str]:
        del capability, volume_context, secrets
        csi_checks.given(volume_id=volume_id, node_id=node_id)
        record = self._state.record(volume_id)
        await self._state.faults("controller_publish_volume", record.volume.context, volume_id)
        if not node_id.startswith("fake-"):
            raise errors.NotFound(f"node {node_id!r} is unknown")
        if record.attached and node_id not in record.attached:
            raise csi.VolumeInUse(f"{volume_id} is attached to {next(iter(record.attached))}")
        if record.attached.setdefault(node_id, readonly) != readonly:
            raise errors.Conflict(f"{volume_id} is attached there otherwise")
        self._state.save()
        return {"device": f"/dev/{volume_id}"}

    async def controller_unpublish_volume(self, volume_id: str, node_id: str = "", secrets: dict[str, str] | None = None) -> None:
        del secrets
        csi_checks.given(volume_id=volume_id)
        record = self._state.records.volumes.get(volume_id)
        if record is not None:
            await self._state.faults("controller_unpublish_volume", record.volume.context, volume_id)
            record.attached = {k: v for k, v in record.attached.items() if node_id and k != node_id}
            self._state.save()

    async def controller_expand_volume(
        self,
        volume_id: str,
        capacity: csi.CapacityRange,
        capability: csi.VolumeCapability | None = None,
        secrets: dict[str, str] | None = None,
    ) -> csi.Expanded:
        del capability, secrets
        csi_checks.given(volume_id=volume_id, capacity=capacity.required)
        csi_checks.check_capacity(capacity)
        record = self._state.record(volume_id)
        await self._state.faults("controller_expand_volume", record.volume.context, volume_id)
        size = max(record.volume.capacity_bytes, capacity.required)
        self._room(size - record.volume.capacity_bytes)
        record.volume = msgspec.structs.replace(record.volume, capacity_bytes=size)
        self._state.save()
        return csi.Expanded(capacity_bytes=size, node_expansion_required=True)

    async def controller_modify_volume(self, volume_id: str, parameters: dict[str, str], secrets: dict[str, str] | None = None) -> None:
        del secrets
        csi_checks.given(volume_id=volume_id)
        unknown = sorted(set(parameters) - {"speed"})
        if unknown:
            raise errors.InvalidConfig(f"unknown parameter {unknown[0]!r}; known are: speed")
        self._state.record(volume_id).speed = parameters.get("speed", "")
        self._state.save()


def _nanoseconds(host: Host) -> int:
    from bareboat.models.times import parse

    return int(parse(host.clock.micro()).timestamp() * 1e6) * 1000
