"""The contract's verbs as calls of a CSI socket.

What comes in: requests of the kernel. What goes out: one gRPC call each; status codes come back as the contract's errors. While the
socket is gone every verb raises Unavailable, and works again when it is back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts import csi
from bareboat.contracts.driver import Health, Host
from bareboat.contracts.errors import DriverError, Unavailable
from bareboat.contracts.grpc_face import REASON
from bareboat_csi_grpc import offers
from bareboat_csi_grpc import translate as t
from bareboat_csi_grpc.options import CsiSocketOptions

LISTING = ("ListVolumes", "ListSnapshots")


class CsiConnection(csi.VolumeDriver):
    """The socket, and who is behind it."""

    options: CsiSocketOptions

    def __init__(self, options: CsiSocketOptions, host: Host) -> None:
        super().__init__(options, host)
        self.driver_name = options.driver
        self._channel: Any = None
        self._known = False

    async def open(self) -> None:
        """Raises Unavailable if nobody answers and the options do not say who it would be."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(f"unix:{Path(self.options.socket).resolve()}")
        try:
            await self._meet()
        except DriverError:
            if not self.options.driver:
                raise

    async def close(self) -> None:
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()

    async def _meet(self) -> None:
        if self._known:
            return
        info = await self._call("Identity", "GetPluginInfo", pb.GetPluginInfoRequest())
        plugin = (await self._call("Identity", "GetPluginCapabilities", pb.GetPluginCapabilitiesRequest())).capabilities
        controller: Any = []
        if any(c.service.type == offers.PLUGIN.CONTROLLER_SERVICE for c in plugin):
            controller = (await self._call("Controller", "ControllerGetCapabilities", pb.ControllerGetCapabilitiesRequest())).capabilities
        node = (await self._call("Node", "NodeGetCapabilities", pb.NodeGetCapabilitiesRequest())).capabilities
        self.driver_name = info.name
        self.capabilities = offers.capabilities(plugin, controller, node, self.options.scope)
        self._known = True

    async def _call(self, service: str, verb: str, request: Any) -> Any:
        if self._channel is None:
            raise Unavailable("the driver is closed")
        answer = getattr(pb, f"{verb}Response")
        call = self._channel.unary_unary(
            f"/csi.v1.{service}/{verb}", request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            return await call(request, timeout=self.options.timeout)
        except grpc.aio.AioRpcError as error:
            metadata = dict(error.trailing_metadata() or ())
            reason = str(metadata.get(REASON, ""))
            raise t.error_of(error.code(), error.details() or error.code().name, reason, listing=verb in LISTING) from error

    async def status(self) -> Health:
        try:
            await self._meet()
            probe = await self._call("Identity", "Probe", pb.ProbeRequest())
        except DriverError as error:
            return Health(ready=False, reason="DriverUnavailable", message=error.message)
        ready = not probe.HasField("ready") or probe.ready.value
        return Health(ready=ready, reason="" if ready else "DriverNotReady", message="" if ready else "the driver is still starting")


class CsiNode(CsiConnection, csi.Staging, csi.NodeExpansion, csi.Stats):
    """The node's verbs."""

    async def node_get_info(self) -> csi.NodeInfo:
        await self._meet()
        found = await self._call("Node", "NodeGetInfo", pb.NodeGetInfoRequest())
        topology = dict(found.accessible_topology.segments)
        return csi.NodeInfo(node_id=found.node_id, max_volumes=found.max_volumes_per_node, topology=topology)

    async def node_stage_volume(self, request: csi.NodeStage) -> None:
        message = pb.NodeStageVolumeRequest(
            volume_id=request.volume_id,
            publish_context=request.publish_context,
            staging_target_path=request.staging_target_path,
            volume_capability=t.capability(request.capability),
            secrets=request.secrets,
            volume_context=request.volume_context,
        )
        await self._call("Node", "NodeStageVolume", message)

    async def node_unstage_volume(self, volume_id: str, staging_target_path: str) -> None:
        message = pb.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging_target_path)
        await self._call("Node", "NodeUnstageVolume", message)

    async def node_publish_volume(self, request: csi.NodePublish) -> None:
        message = pb.NodePublishVolumeRequest(
            volume_id=request.volume_id,
            publish_context=request.publish_context,
            staging_target_path=request.staging_target_path,
            target_path=request.target_path,
            volume_capability=t.capability(request.capability),
            readonly=request.readonly,
            secrets=request.secrets,
            volume_context=request.volume_context,
        )
        await self._call("Node", "NodePublishVolume", message)

    async def node_unpublish_volume(self, volume_id: str, target_path: str) -> None:
        await self._call("Node", "NodeUnpublishVolume", pb.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target_path))

    async def node_expand_volume(
        self, volume_id: str, volume_path: str, capacity: csi.CapacityRange, capability: csi.VolumeCapability | None = None
    ) -> int:
        message = pb.NodeExpandVolumeRequest(
            volume_id=volume_id, volume_path=volume_path, capacity_range=t.capacity(capacity), volume_capability=t.capability(capability)
        )
        return int((await self._call("Node", "NodeExpandVolume", message)).capacity_bytes) or capacity.required

    async def node_get_volume_stats(self, volume_id: str, volume_path: str) -> csi.VolumeUsage:
        message = pb.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=volume_path)
        return t.from_usage(await self._call("Node", "NodeGetVolumeStats", message))


class CsiClient(CsiNode, csi.Provisioning, csi.Listing, csi.CapacityReport, csi.Snapshots, csi.Attaching, csi.Expansion, csi.Modifying):
    """All verbs."""

    async def create_volume(self, request: csi.CreateVolume) -> csi.Volume:
        message = pb.CreateVolumeRequest(
            name=request.name,
            capacity_range=t.capacity(request.capacity),
            volume_capabilities=[t.capability(c) for c in request.capabilities],
            parameters=request.parameters,
            secrets=request.secrets,
            volume_content_source=t.source(request.source),
            accessibility_requirements=t.requirement(request.topology),
            mutable_parameters=request.mutable_parameters,
        )
        return t.from_volume((await self._call("Controller", "CreateVolume", message)).volume)

    async def delete_volume(self, volume_id: str, secrets: dict[str, str] | None = None) -> None:
        await self._call("Controller", "DeleteVolume", pb.DeleteVolumeRequest(volume_id=volume_id, secrets=secrets))

    async def validate_volume_capabilities(
        self, volume_id: str, capabilities: tuple[csi.VolumeCapability, ...], parameters: dict[str, str] | None = None
    ) -> csi.Confirmed:
        message = pb.ValidateVolumeCapabilitiesRequest(
            volume_id=volume_id, volume_capabilities=[t.capability(c) for c in capabilities], parameters=parameters
        )
        found = await self._call("Controller", "ValidateVolumeCapabilities", message)
        return csi.Confirmed(confirmed=found.HasField("confirmed"), message=found.message)

    async def list_volumes(self, max_entries: int = 0, starting_token: str = "") -> csi.VolumePage:
        found = await self._call("Controller", "ListVolumes", pb.ListVolumesRequest(max_entries=max_entries, starting_token=starting_token))
        entries = []
        for entry in found.entries:
            condition = entry.status.volume_condition
            entries.append(
                csi.VolumeEntry(
                    volume=t.from_volume(entry.volume),
                    published_node_ids=tuple(entry.status.published_node_ids),
                    abnormal=(condition.message or "abnormal") if condition.abnormal else "",
                )
            )
        return csi.VolumePage(entries=tuple(entries), next_token=found.next_token)

    async def get_capacity(
        self,
        capabilities: tuple[csi.VolumeCapability, ...] = (),
        parameters: dict[str, str] | None = None,
        topology: csi.Segments | None = None,
    ) -> csi.Capacity:
        message = pb.GetCapacityRequest(
            volume_capabilities=[t.capability(c) for c in capabilities],
            parameters=parameters,
            accessible_topology=pb.Topology(segments=topology) if topology else None,
        )
        found = await self._call("Controller", "GetCapacity", message)
        return csi.Capacity(
            available=found.available_capacity, maximum=found.maximum_volume_size.value, minimum=found.minimum_volume_size.value
        )

    async def create_snapshot(
        self, name: str, source_volume_id: str, parameters: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> csi.Snapshot:
        message = pb.CreateSnapshotRequest(source_volume_id=source_volume_id, name=name, secrets=secrets, parameters=parameters)
        return t.from_snapshot((await self._call("Controller", "CreateSnapshot", message)).snapshot)

    async def delete_snapshot(self, snapshot_id: str, secrets: dict[str, str] | None = None) -> None:
        await self._call("Controller", "DeleteSnapshot", pb.DeleteSnapshotRequest(snapshot_id=snapshot_id, secrets=secrets))

    async def list_snapshots(
        self, max_entries: int = 0, starting_token: str = "", source_volume_id: str = "", snapshot_id: str = ""
    ) -> csi.SnapshotPage:
        message = pb.ListSnapshotsRequest(
            max_entries=max_entries, starting_token=starting_token, source_volume_id=source_volume_id, snapshot_id=snapshot_id
        )
        found = await self._call("Controller", "ListSnapshots", message)
        return csi.SnapshotPage(entries=tuple(t.from_snapshot(e.snapshot) for e in found.entries), next_token=found.next_token)

    async def controller_publish_volume(
        self,
        volume_id: str,
        node_id: str,
        capability: csi.VolumeCapability,
        readonly: bool = False,
        volume_context: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
    ) -> dict[str, str]:
        message = pb.ControllerPublishVolumeRequest(
            volume_id=volume_id,
            node_id=node_id,
            volume_capability=t.capability(capability),
            readonly=readonly,
            secrets=secrets,
            volume_context=volume_context,
        )
        return dict((await self._call("Controller", "ControllerPublishVolume", message)).publish_context)

    async def controller_unpublish_volume(self, volume_id: str, node_id: str = "", secrets: dict[str, str] | None = None) -> None:
        message = pb.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node_id, secrets=secrets)
        await self._call("Controller", "ControllerUnpublishVolume", message)

    async def controller_expand_volume(
        self,
        volume_id: str,
        capacity: csi.CapacityRange,
        capability: csi.VolumeCapability | None = None,
        secrets: dict[str, str] | None = None,
    ) -> csi.Expanded:
        message = pb.ControllerExpandVolumeRequest(
            volume_id=volume_id, capacity_range=t.capacity(capacity), secrets=secrets, volume_capability=t.capability(capability)
        )
        found = await self._call("Controller", "ControllerExpandVolume", message)
        return csi.Expanded(capacity_bytes=found.capacity_bytes, node_expansion_required=found.node_expansion_required)

    async def controller_modify_volume(self, volume_id: str, parameters: dict[str, str], secrets: dict[str, str] | None = None) -> None:
        message = pb.ControllerModifyVolumeRequest(volume_id=volume_id, secrets=secrets, mutable_parameters=parameters)
        await self._call("Controller", "ControllerModifyVolume", message)
