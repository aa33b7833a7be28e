"""Capabilities of the contract ↔ the three lists of capabilities of the protocol. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from bareboat_csi_protocol import csi_pb2 as pb

from bareboat.contracts import csi

PLUGIN, CONTROLLER, NODE = pb.PluginCapability.Service, pb.ControllerServiceCapability.RPC, pb.NodeServiceCapability.RPC
#: Flag of the contract → names of the protocol's controller and node capabilities that it stands for.
OF_CONTROLLER = {
    "provisioning": ("CREATE_DELETE_VOLUME",),
    "listing": ("LIST_VOLUMES",),
    "capacity": ("GET_CAPACITY",),
    "snapshots": ("CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS"),
    "attaching": ("PUBLISH_UNPUBLISH_VOLUME",),
    "expansion": ("EXPAND_VOLUME",),
    "modifying": ("MODIFY_VOLUME",),
    "cloning": ("CLONE_VOLUME",),
    "single_node_multi_writer": ("SINGLE_NODE_MULTI_WRITER",),
}
OF_NODE = {
    "staging": "STAGE_UNSTAGE_VOLUME",
    "node_expansion": "EXPAND_VOLUME",
    "stats": "GET_VOLUME_STATS",
    "mount_group": "VOLUME_MOUNT_GROUP",
    "single_node_multi_writer": "SINGLE_NODE_MULTI_WRITER",
}


def plugin(offers: csi.Capabilities) -> Any:
    kinds = [PLUGIN.CONTROLLER_SERVICE] if _has_controller(offers) else []
    kinds += [PLUGIN.VOLUME_ACCESSIBILITY_CONSTRAINTS] if offers.topology else []
    found = [pb.PluginCapability(service=PLUGIN(type=kind)) for kind in kinds]
    if offers.expansion:
        growth = pb.PluginCapability.VolumeExpansion
        found.append(pb.PluginCapability(volume_expansion=growth(type=growth.ONLINE)))
    return pb.GetPluginCapabilitiesResponse(capabilities=found)


def _has_controller(offers: csi.Capabilities) -> bool:
    return any(getattr(offers, flag) for flag in OF_CONTROLLER)


def controller(offers: csi.Capabilities) -> Any:
    names = [name for flag, words in OF_CONTROLLER.items() if getattr(offers, flag) for name in words]
    made = [pb.ControllerServiceCapability(rpc=CONTROLLER(type=CONTROLLER.Type.Value(name))) for name in names]
    return pb.ControllerGetCapabilitiesResponse(capabilities=made)


def node(offers: csi.Capabilities) -> Any:
    names = [name for flag, name in OF_NODE.items() if getattr(offers, flag)]
    return pb.NodeGetCapabilitiesResponse(capabilities=[pb.NodeServiceCapability(rpc=NODE(type=NODE.Type.Value(n))) for n in names])


def capabilities(plugin: Any, controller: Iterable[Any], node: Iterable[Any], scope: Literal["cluster", "node"]) -> csi.Capabilities:
    """From what a driver answered. Inline volumes are no capability of the protocol: the CSIDriver says whether there are any."""
    services = {c.service.type for c in plugin}
    of_controller = {CONTROLLER.Type.Name(c.rpc.type) for c in controller}
    of_node = {NODE.Type.Name(c.rpc.type) for c in node}
    flags = {flag: names[0] in of_controller for flag, names in OF_CONTROLLER.items()}
    flags |= {flag: name in of_node for flag, name in OF_NODE.items() if flag != "single_node_multi_writer"}
    topology = PLUGIN.VOLUME_ACCESSIBILITY_CONSTRAINTS in services
    return csi.Capabilities(scope=scope, topology=topology, ephemeral=True, **flags)
