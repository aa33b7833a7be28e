"""CSI: the storage contract, after the Container Storage Interface specification 1.12 (Identity, Controller and Node services).

Vocabulary. A *volume* is storage with an id that the driver chooses; a *snapshot* is its state at one moment. *Mount* volumes are
directories, *block* volumes are devices. To *attach* (controller_publish) makes a volume reachable from a node, to *stage* makes it ready
once per node at a staging path, to *publish* makes it appear at a target path, once per pod. A *topology* is a set of segments
(``{"topology.local.csi.bareboat.io/node": "n1"}``): a volume is reachable from nodes that have all segments of one of its topologies.
The Identity service is folded into ``driver_name``, ``info`` and ``capabilities``.

Life cycle::

    create_volume ─▶ CREATED ─ controller_publish ─▶ NODE_READY ─ node_stage ─▶ STAGED ─ node_publish ─▶ PUBLISHED
                        ◀─ controller_unpublish ─┘      ◀─ node_unstage ─┘       ◀─ node_unpublish ─┘
    delete_volume ◀─────┘            (a driver without attaching or staging skips those states, and so does the kernel)

Rules for every mutating verb
* Idempotency: ``create_volume`` and ``create_snapshot`` are keyed by name: the same call again returns the same volume; the same name
  with a range that the existing volume does not satisfy, another source or another kind of access raises Conflict. Every other verb is
  keyed by volume id and path or node: again is success. Deleting, unpublishing, unstaging, detaching something unknown is success.
* Every other verb on an unknown volume or snapshot raises NotFound. An empty name, id or path, no capability, a negative size, or a limit
  below what is required raises InvalidConfig. A size beyond what there is raises Exhausted; a range that can never be met InvalidConfig.
* What is in use stays: deleting a volume that is staged or published raises DriverError with reason ``VolumeInUse``, and is tried again.
* ``list_volumes`` and ``list_snapshots`` are the truth and show what an earlier process made. They page: at most ``max_entries`` (0 = all),
  ``next_token`` "" at the end; a token that is none raises InvalidConfig with reason ``InvalidToken``.
* Cancelling a verb may leave its work running; the same verb called again joins it or raises InProgress, and so does another on its volume.
* Sizes are bytes. Paths are absolute paths of the node. ``secrets`` are never logged, stored or shown.
* Who mounts what: ``node_stage_volume`` finds ``staging_target_path`` made as a directory. For ``node_publish_volume`` the parent of
  ``target_path`` exists and the driver makes the target itself: a directory for mount, a file for block volumes. ``node_unpublish_volume``
  removes it. What is mounted survives the driver's process.

Where verbs run. Controller verbs run in the agents, never in the server. With ``capabilities.scope`` "cluster" the agent that holds the
Lease ``csi-<driver name>`` calls them; with "node" every node has volumes of its own, and the agent of the node that a volume belongs to
(by the topology it said in ``node_get_info``) calls them.

Worked scenario: node_get_info → CSINode → a claim with a StorageClass of the driver → a pod is given node n1 → create_volume(name
"pvc-<uid>", topology of n1) → PersistentVolume → node_stage_volume(staging path) → node_publish_volume(target path in the pod's directory)
→ … → node_unpublish_volume → node_unstage_volume → the claim is deleted → delete_volume.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import msgspec

from bareboat.contracts.driver import Driver
from bareboat.contracts.errors import DriverError

GROUP = "bareboat.csi.v1alpha1"

AccessMode = Literal[
    "SINGLE_NODE_WRITER",
    "SINGLE_NODE_READER_ONLY",
    "MULTI_NODE_READER_ONLY",
    "MULTI_NODE_SINGLE_WRITER",
    "MULTI_NODE_MULTI_WRITER",
    "SINGLE_NODE_SINGLE_WRITER",
    "SINGLE_NODE_MULTI_WRITER",
]
Segments = dict[str, str]
#: Keys of ``volume_context`` at node_publish_volume where the CSIDriver asks for podInfoOnMount or has requested tokens.
POD_NAME, POD_NAMESPACE = "csi.storage.k8s.io/pod.name", "csi.storage.k8s.io/pod.namespace"
POD_UID, POD_ACCOUNT = "csi.storage.k8s.io/pod.uid", "csi.storage.k8s.io/serviceAccount.name"
EPHEMERAL, TOKENS = "csi.storage.k8s.io/ephemeral", "csi.storage.k8s.io/serviceAccount.tokens"


class VolumeInUse(DriverError):
    """The volume is staged, published or attached, or something was made from it that needs it."""

    default_reason = "VolumeInUse"


class VolumeCapability(msgspec.Struct, frozen=True, kw_only=True):
    """``block`` True is a raw device, else a mount with ``fs_type`` ("" = the driver's choice) and ``mount_flags`` (``mount -o``).

    ``volume_mount_group`` is a gid that the mount is to belong to, only where the driver has the capability ``mount_group``.
    """

    access_mode: AccessMode = "SINGLE_NODE_WRITER"
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    volume_mount_group: str = ""


class CapacityRange(msgspec.Struct, frozen=True, kw_only=True):
    """In bytes: at least ``required``, at most ``limit``; 0 = not said. Both equal = exactly."""

    required: int = 0
    limit: int = 0


class ContentSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a new volume is filled from: exactly one of the two."""

    snapshot_id: str = ""
    volume_id: str = ""


class TopologyRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """The volume must be reachable from one of ``requisite`` and should be from the first of ``preferred`` that can be had."""

    requisite: tuple[Segments, ...] = ()
    preferred: tuple[Segments, ...] = ()


class CreateVolume(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is the key. ``parameters`` are the StorageClass's, without those of the kernel; an unknown one is InvalidConfig.

    ``mutable_parameters`` are the VolumeAttributesClass's.
    """

    name: str
    capacity: CapacityRange = CapacityRange()
    capabilities: tuple[VolumeCapability, ...] = ()
    parameters: dict[str, str] = {}
    secrets: dict[str, str] = {}
    source: ContentSource | None = None
    topology: TopologyRequirement | None = None
    mutable_parameters: dict[str, str] = {}


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """``context`` is handed back at every later verb; it never changes. ``topology`` () = reachable from everywhere."""

    volume_id: str
    capacity_bytes: int = 0
    context: dict[str, str] = {}
    source: ContentSource | None = None
    topology: tuple[Segments, ...] = ()


class VolumeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """``published_node_ids`` where the driver knows them. ``abnormal`` says in words what is wrong with the volume, "" nothing."""

    volume: Volume
    published_node_ids: tuple[str, ...] = ()
    abnormal: str = ""


class VolumePage(msgspec.Struct, frozen=True, kw_only=True):
    entries: tuple[VolumeEntry, ...] = ()
    next_token: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``size_bytes`` is the least size of a volume made from it; ``created_at`` in nanoseconds since the epoch."""

    snapshot_id: str
    source_volume_id: str
    size_bytes: int = 0
    created_at: int = 0
    ready_to_use: bool = True


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True):
    entries: tuple[Snapshot, ...] = ()
    next_token: str = ""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """``available`` bytes for new volumes; one of them at most ``maximum`` and at least ``minimum`` (0 = not said)."""

    available: int
    maximum: int = 0
    minimum: int = 0


class Expanded(msgspec.Struct, frozen=True, kw_only=True):
    """``node_expansion_required``: the volume has the size when ``node_expand_volume`` was called too."""

    capacity_bytes: int
    node_expansion_required: bool = False


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """``confirmed`` False: the volume cannot be used so, and ``message`` says why."""

    confirmed: bool
    message: str = ""


class NodeStage(msgspec.Struct, frozen=True, kw_only=True):
    """``publish_context`` is what controller_publish_volume answered."""

    volume_id: str
    staging_target_path: str
    capability: VolumeCapability | None = None
    publish_context: dict[str, str] = {}
    volume_context: dict[str, str] = {}
    secrets: dict[str, str] = {}


class NodePublish(msgspec.Struct, frozen=True, kw_only=True):
    """``staging_target_path`` "" where the driver does not stage. With ``EPHEMERAL: "true"`` in ``volume_context`` the volume does not

    exist yet: it is made here with that id, and goes with node_unpublish_volume.
    """

    volume_id: str
    target_path: str
    staging_target_path: str = ""
    capability: VolumeCapability | None = None
    readonly: bool = False
    publish_context: dict[str, str] = {}
    volume_context: dict[str, str] = {}
    secrets: dict[str, str] = {}


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Of one volume where it is published. Bytes and inodes; ``abnormal`` says in words what is wrong, "" nothing."""

    total_bytes: int = 0
    available_bytes: int = 0
    used_bytes: int = 0
    total_inodes: int = 0
    available_inodes: int = 0
    used_inodes: int = 0
    abnormal: str = ""


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``node_id`` is the driver's name for this node; ``max_volumes`` 0 = no limit; ``topology`` {} = no constraint."""

    node_id: str
    max_volumes: int = 0
    topology: Segments = {}


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver offers. Each of the first ten goes with the mixin of that name; the suite checks that they agree.

    ``cloning``: volumes from volumes. ``topology``: volumes are not reachable from everywhere. ``mount_group``: see VolumeCapability.
    ``single_node_multi_writer``: knows the last two access modes. ``ephemeral``: volumes inline in pods. ``scope``: whose volumes the
    controller verbs reach, see above.
    """

    provisioning: bool = False
    listing: bool = False
    capacity: bool = False
    snapshots: bool = False
    attaching: bool = False
    expansion: bool = False
    modifying: bool = False
    staging: bool = False
    node_expansion: bool = False
    stats: bool = False
    cloning: bool = False
    topology: bool = False
    mount_group: bool = False
    single_node_multi_writer: bool = False
    ephemeral: bool = False
    scope: Literal["cluster", "node"] = "cluster"


class VolumeDriver(Driver):
    """The verbs that every driver has. ``driver_name`` is what StorageClasses and volumes call it (``local.csi.bareboat.io``)."""

    driver_name: str = ""
    capabilities: Capabilities = Capabilities()

    @abstractmethod
    async def node_publish_volume(self, request: NodePublish) -> None:
        """Make the volume appear at the target path, read-only if asked. Another capability or readonly at the same path: Conflict."""

    @abstractmethod
    async def node_unpublish_volume(self, volume_id: str, target_path: str) -> None:
        """Undo, and remove the target. Not there: success."""

    @abstractmethod
    async def node_get_info(self) -> NodeInfo:
        """Asked once after ``open``, and again when the agent starts anew."""


class Provisioning(VolumeDriver):
    @abstractmethod
    async def create_volume(self, request: CreateVolume) -> Volume:
        """Make a volume of at least the required bytes, or return the one that has the name. Source unknown: NotFound.

        No topology of the requirement can be had: Exhausted.
        """

    @abstractmethod
    async def delete_volume(self, volume_id: str, secrets: dict[str, str] | None = None) -> None:
        """Delete volume and data. Unknown: success. In use: VolumeInUse. Snapshots of it stay."""

    @abstractmethod
    async def validate_volume_capabilities(
        self, volume_id: str, capabilities: tuple[VolumeCapability, ...], parameters: dict[str, str] | None = None
    ) -> Confirmed:
        """Whether the volume can be used in all of these ways."""


class Listing(VolumeDriver):
    @abstractmethod
    async def list_volumes(self, max_entries: int = 0, starting_token: str = "") -> VolumePage:
        """Every volume that there is, ephemeral ones not included; in an order that does not change."""


class CapacityReport(VolumeDriver):
    @abstractmethod
    async def get_capacity(
        self, capabilities: tuple[VolumeCapability, ...] = (), parameters: dict[str, str] | None = None, topology: Segments | None = None
    ) -> Capacity:
        """What is left for volumes of that kind, there. A topology that is not the driver's has 0."""


class Snapshots(VolumeDriver):
    @abstractmethod
    async def create_snapshot(
        self, name: str, source_volume_id: str, parameters: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> Snapshot:
        """Of the volume as it is now. The same name with another volume: Conflict."""

    @abstractmethod
    async def delete_snapshot(self, snapshot_id: str, secrets: dict[str, str] | None = None) -> None:
        """Volumes made from it stay."""

    @abstractmethod
    async def list_snapshots(
        self, max_entries: int = 0, starting_token: str = "", source_volume_id: str = "", snapshot_id: str = ""
    ) -> SnapshotPage:
        """All, those of one volume, or the one; an unknown volume or snapshot gives none."""


class Attaching(VolumeDriver):
    @abstractmethod
    async def controller_publish_volume(
        self,
        volume_id: str,
        node_id: str,
        capability: VolumeCapability,
        readonly: bool = False,
        volume_context: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """Make the volume reachable from the node; the answer goes to the node's verbs as ``publish_context``.

        Unknown node: NotFound. Attached elsewhere and the access mode is for one node: VolumeInUse. Attached there otherwise: Conflict.
        """

    @abstractmethod
    async def controller_unpublish_volume(self, volume_id: str, node_id: str = "", secrets: dict[str, str] | None = None) -> None:
        """Undo; with node_id "" from every node."""


class Expansion(VolumeDriver):
    @abstractmethod
    async def controller_expand_volume(
        self, volume_id: str, capacity: CapacityRange, capability: VolumeCapability | None = None, secrets: dict[str, str] | None = None
    ) -> Expanded:
        """Make it at least as big as required. Already so: success with its size. Volumes never shrink."""


class Modifying(VolumeDriver):
    @abstractmethod
    async def controller_modify_volume(self, volume_id: str, parameters: dict[str, str], secrets: dict[str, str] | None = None) -> None:
        """Change what the VolumeAttributesClass says; an unknown parameter is InvalidConfig."""


class Staging(VolumeDriver):
    @abstractmethod
    async def node_stage_volume(self, request: NodeStage) -> None:
        """Once per node, before the first publish. Staged there with another capability: Conflict."""

    @abstractmethod
    async def node_unstage_volume(self, volume_id: str, staging_target_path: str) -> None:
        """After the last unpublish. Not staged: success. Published still: VolumeInUse. The directory itself is the kernel's."""


class NodeExpansion(VolumeDriver):
    @abstractmethod
    async def node_expand_volume(
        self, volume_id: str, volume_path: str, capacity: CapacityRange, capability: VolumeCapability | None = None
    ) -> int:
        """Grow what is mounted at the path, in use, to the size that the volume has now; the size in bytes. Not there: NotFound."""


class Stats(VolumeDriver):
    @abstractmethod
    async def node_get_volume_stats(self, volume_id: str, volume_path: str) -> VolumeUsage:
        """Of the volume at its target or staging path. Not there: NotFound."""


#: Flag of ``Capabilities`` → the mixin that goes with it.
MIXINS: dict[str, type[Any]] = {
    "provisioning": Provisioning,
    "listing": Listing,
    "capacity": CapacityReport,
    "snapshots": Snapshots,
    "attaching": Attaching,
    "expansion": Expansion,
    "modifying": Modifying,
    "staging": Staging,
    "node_expansion": NodeExpansion,
    "stats": Stats,
}
#: Access modes that let one node have the volume at a time.
SINGLE_NODE = frozenset({"SINGLE_NODE_WRITER", "SINGLE_NODE_READER_ONLY", "SINGLE_NODE_SINGLE_WRITER", "SINGLE_NODE_MULTI_WRITER"})
