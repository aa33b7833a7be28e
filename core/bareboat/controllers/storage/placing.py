"""Where a new volume may be, and where it is best: nodes that have the driver, allowed topologies, what is left on each.

What comes in: Nodes, CSINodes and CSIStorageCapacities. What goes out: the driver's topology requirement, or a node's name.
"""

from __future__ import annotations

from bareboat.contracts import csi
from bareboat.controllers.storage.seat import Seat, within
from bareboat.models import core_v1, storage_v1
from bareboat.models.quantity import Quantity
from bareboat.models.selectors import from_label_selector
from bareboat.reconcile.informer import Informer


class Placing:
    def __init__(
        self,
        seat: Seat,
        nodes: Informer[core_v1.Node],
        csi_nodes: Informer[storage_v1.CSINode],
        capacities: Informer[storage_v1.CSIStorageCapacity],
    ) -> None:
        self._seat = seat
        self._nodes = nodes
        self._csi_nodes = csi_nodes
        self._capacities = capacities

    def requirement(self, found: storage_v1.StorageClass, chosen: str) -> csi.TopologyRequirement | None:
        """None for drivers whose volumes are reachable from everywhere."""
        if not self._seat.driver.capabilities.topology:
            return None
        segments = self._segments(found)
        own = segments.get(chosen)
        if chosen and own is not None:
            return csi.TopologyRequirement(requisite=(own,), preferred=(own,))
        everywhere = tuple(dict(pairs) for pairs in dict.fromkeys(tuple(sorted(s.items())) for s in segments.values()))
        return csi.TopologyRequirement(requisite=everywhere, preferred=everywhere)

    def roomiest(self, found: storage_v1.StorageClass) -> str:
        """The node of the allowed topologies that has the most left; "" if there is none."""
        segments = self._segments(found)
        return max(sorted(segments), key=lambda name: self._left(found.metadata.name, segments[name]), default="")

    def _segments(self, found: storage_v1.StorageClass) -> dict[str, csi.Segments]:
        """Of each node that has the driver and is allowed."""
        result = {}
        for node in self._csi_nodes.list():
            entry = next((d for d in node.spec.drivers if d.name == self._seat.name), None)
            there = self._nodes.get(f"/{node.metadata.name}")
            if entry is None or there is None or not allowed(found, there.metadata.labels):
                continue
            labels = there.metadata.labels
            result[node.metadata.name] = {key: labels[key] for key in entry.topologyKeys if key in labels}
        return result

    def _left(self, name: str, segments: csi.Segments) -> int:
        for known in self._capacities.list():
            if (
                known.storageClassName == name
                and known.nodeTopology is not None
                and from_label_selector(known.nodeTopology).matches(segments)
            ):
                return Quantity.parse(known.capacity or "0").value()
        return 0


def allowed(found: storage_v1.StorageClass, labels: dict[str, str]) -> bool:
    terms = [{e.key: set(e.values) for e in term.matchLabelExpressions} for term in found.allowedTopologies]
    return not terms or any(within(labels, term) for term in terms)
