"""What each call of the protocol does with a driver of ours: from message to verb and back.

What comes in: a driver and a request message. What goes out: the response message. Errors are the driver's own (``serving`` translates).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts import csi
from bareboat_csi_grpc import offers
from bareboat_csi_grpc import translate as t

Verb = Callable[[Any, Any], Awaitable[Any]]


async def get_plugin_info(driver: Any, _: Any) -> Any:
    return pb.GetPluginInfoResponse(name=driver.driver_name, vendor_version="1")


async def get_plugin_capabilities(driver: Any, _: Any) -> Any:
    return offers.plugin(driver.capabilities)


async def probe(driver: Any, _: Any) -> Any:
    answer = pb.ProbeResponse()
    answer.ready.value = (await driver.status()).ready
    return answer


async def create_volume(driver: Any, m: Any) -> Any:
    request = csi.CreateVolume(
        name=m.name,
        capacity=t.from_capacity(m.capacity_range),
        capabilities=tuple(t.from_capability(c) for c in m.volume_capabilities),
        parameters=dict(m.parameters),
        secrets=dict(m.secrets),
        source=t.from_source(m, "volume_content_source"),
        topology=t.from_requirement(m),
        mutable_parameters=dict(m.mutable_parameters),
    )
    return pb.CreateVolumeResponse(volume=t.volume(await driver.create_volume(request)))


async def delete_volume(driver: Any, m: Any) -> Any:
    await driver.delete_volume(m.volume_id, dict(m.secrets))
    return pb.DeleteVolumeResponse()


async def controller_publish_volume(driver: Any, m: Any) -> Any:
    wish = t.from_capability(m.volume_capability)
    context = await driver.controller_publish_volume(m.volume_id, m.node_id, wish, m.readonly, dict(m.volume_context), dict(m.secrets))
    return pb.ControllerPublishVolumeResponse(publish_context=context)


async def controller_unpublish_volume(driver: Any, m: Any) -> Any:
    await driver.controller_unpublish_volume(m.volume_id, m.node_id, dict(m.secrets))
    return pb.ControllerUnpublishVolumeResponse()


async def validate_volume_capabilities(driver: Any, m: Any) -> Any:
    wishes = tuple(t.from_capability(c) for c in m.volume_capabilities)
    found = await driver.validate_volume_capabilities(m.volume_id, wishes, dict(m.parameters))
    if not found.confirmed:
        return pb.ValidateVolumeCapabilitiesResponse(message=found.message)
    confirmed = pb.ValidateVolumeCapabilitiesResponse.Confirmed(
        volume_context=dict(m.volume_context), volume_capabilities=m.volume_capabilities, parameters=dict(m.parameters)
    )
    return pb.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)


async def list_volumes(driver: Any, m: Any) -> Any:
    page = await driver.list_volumes(m.max_entries, m.starting_token)
    answer = pb.ListVolumesResponse(next_token=page.next_token)
    for entry in page.entries:
        condition = pb.VolumeCondition(abnormal=bool(entry.abnormal), message=entry.abnormal)
        status = pb.ListVolumesResponse.VolumeStatus(published_node_ids=entry.published_node_ids, volume_condition=condition)
        answer.entries.append(pb.ListVolumesResponse.Entry(volume=t.volume(entry.volume), status=status))
    return answer


async def get_capacity(driver: Any, m: Any) -> Any:
    wishes = tuple(t.from_capability(c) for c in m.volume_capabilities)
    topology = dict(m.accessible_topology.segments) if m.HasField("accessible_topology") else None
    found = await driver.get_capacity(wishes, dict(m.parameters), topology)
    answer = pb.GetCapacityResponse(available_capacity=found.available)
    if found.maximum:
        answer.maximum_volume_size.value = found.maximum
    if found.minimum:
        answer.minimum_volume_size.value = found.minimum
    return answer


async def controller_get_capabilities(driver: Any, _: Any) -> Any:
    return offers.controller(driver.capabilities)


async def create_snapshot(driver: Any, m: Any) -> Any:
    made = await driver.create_snapshot(m.name, m.source_volume_id, dict(m.parameters), dict(m.secrets))
    return pb.CreateSnapshotResponse(snapshot=t.snapshot(made))


async def delete_snapshot(driver: Any, m: Any) -> Any:
    await driver.delete_snapshot(m.snapshot_id, dict(m.secrets))
    return pb.DeleteSnapshotResponse()


async def list_snapshots(driver: Any, m: Any) -> Any:
    page = await driver.list_snapshots(m.max_entries, m.starting_token, m.source_volume_id, m.snapshot_id)
    answer = pb.ListSnapshotsResponse(next_token=page.next_token)
    answer.entries.extend(pb.ListSnapshotsResponse.Entry(snapshot=t.snapshot(s)) for s in page.entries)
    return answer


async def controller_expand_volume(driver: Any, m: Any) -> Any:
    grown = await driver.controller_expand_volume(m.volume_id, t.from_capacity(m.capacity_range), t.optional_capability(m), dict(m.secrets))
    return pb.ControllerExpandVolumeResponse(capacity_bytes=grown.capacity_bytes, node_expansion_required=grown.node_expansion_required)


async def controller_modify_volume(driver: Any, m: Any) -> Any:
    await driver.controller_modify_volume(m.volume_id, dict(m.mutable_parameters), dict(m.secrets))
    return pb.ControllerModifyVolumeResponse()


async def node_get_info(driver: Any, _: Any) -> Any:
    info = await driver.node_get_info()
    topology = pb.Topology(segments=info.topology) if info.topology else None
    return pb.NodeGetInfoResponse(node_id=info.node_id, max_volumes_per_node=info.max_volumes, accessible_topology=topology)


async def node_get_capabilities(driver: Any, _: Any) -> Any:
    return offers.node(driver.capabilities)


async def node_stage_volume(driver: Any, m: Any) -> Any:
    request = csi.NodeStage(
        volume_id=m.volume_id,
        staging_target_path=m.staging_target_path,
        capability=t.optional_capability(m),
        publish_context=dict(m.publish_context),
        volume_context=dict(m.volume_context),
        secrets=dict(m.secrets),
    )
    await driver.node_stage_volume(request)
    return pb.NodeStageVolumeResponse()


async def node_unstage_volume(driver: Any, m: Any) -> Any:
    await driver.node_unstage_volume(m.volume_id, m.staging_target_path)
    return pb.NodeUnstageVolumeResponse()


async def node_publish_volume(driver: Any, m: Any) -> Any:
    request = csi.NodePublish(
        volume_id=m.volume_id,
        target_path=m.target_path,
        staging_target_path=m.staging_target_path,
        capability=t.optional_capability(m),
        readonly=m.readonly,
        publish_context=dict(m.publish_context),
        volume_context=dict(m.volume_context),
        secrets=dict(m.secrets),
    )
    await driver.node_publish_volume(request)
    return pb.NodePublishVolumeResponse()


async def node_unpublish_volume(driver: Any, m: Any) -> Any:
    await driver.node_unpublish_volume(m.volume_id, m.target_path)
    return pb.NodeUnpublishVolumeResponse()


async def node_expand_volume(driver: Any, m: Any) -> Any:
    size = await driver.node_expand_volume(m.volume_id, m.volume_path, t.from_capacity(m.capacity_range), t.optional_capability(m))
    return pb.NodeExpandVolumeResponse(capacity_bytes=size)


async def node_get_volume_stats(driver: Any, m: Any) -> Any:
    return t.usage(await driver.node_get_volume_stats(m.volume_id, m.volume_path))


#: Service → call → (the capability it needs, "" none; what it does).
VERBS: dict[str, dict[str, tuple[str, Verb]]] = {
    "Identity": {
        "GetPluginInfo": ("", get_plugin_info),
        "GetPluginCapabilities": ("", get_plugin_capabilities),
        "Probe": ("", probe),
    },
    "Controller": {
        "CreateVolume": ("provisioning", create_volume),
        "DeleteVolume": ("provisioning", delete_volume),
        "ControllerPublishVolume": ("attaching", controller_publish_volume),
        "ControllerUnpublishVolume": ("attaching", controller_unpublish_volume),
        "ValidateVolumeCapabilities": ("provisioning", validate_volume_capabilities),
        "ListVolumes": ("listing", list_volumes),
        "GetCapacity": ("capacity", get_capacity),
        "ControllerGetCapabilities": ("", controller_get_capabilities),
        "CreateSnapshot": ("snapshots", create_snapshot),
        "DeleteSnapshot": ("snapshots", delete_snapshot),
        "ListSnapshots": ("snapshots", list_snapshots),
        "ControllerExpandVolume": ("expansion", controller_expand_volume),
        "ControllerModifyVolume": ("modifying", controller_modify_volume),
    },
    "Node": {
        "NodeStageVolume": ("staging", node_stage_volume),
        "NodeUnstageVolume": ("staging", node_unstage_volume),
        "NodePublishVolume": ("", node_publish_volume),
        "NodeUnpublishVolume": ("", node_unpublish_volume),
        "NodeGetVolumeStats": ("stats", node_get_volume_stats),
        "NodeExpandVolume": ("node_expansion", node_expand_volume),
        "NodeGetCapabilities": ("", node_get_capabilities),
        "NodeGetInfo": ("", node_get_info),
    },
}
