"""CRI: the container runtime contract, after the upstream Container Runtime Interface v1 (runtime.v1 RuntimeService, ImageService).

Vocabulary. A *sandbox* holds a pod's shared namespaces (network, IPC, UTS, PID if asked). A *container* runs in one
sandbox. Ids are chosen by the driver, opaque, unique over time on the node.

Life cycle::

    run_pod_sandbox ─▶ READY ─ create_container ─▶ CREATED ─ start_container ─▶ RUNNING ─ exit or stop_container ─▶ EXITED
                         │                                                                            remove_container ─▶ gone
                         └─ stop_pod_sandbox ─▶ NOTREADY ─ remove_pod_sandbox ─▶ gone

Rules for every mutating verb
* Idempotency: ``run_pod_sandbox`` is keyed by (uid, attempt), ``create_container`` by (sandbox id, name, attempt): the same
  call again returns
  the same id; the same key with another config raises Conflict. Stop and remove of something unknown or already done is success.
* ``list_*`` is the truth: it shows what an earlier process of the driver started, with exit codes and times.
* Cancelling a verb may leave its work running; the same verb called again joins it or raises InProgress.
* Times are nanoseconds since the epoch; memory in bytes; CPU in shares/quota microseconds as in the OCI specification;
  timeouts in seconds.
* The driver writes container output to ``ContainerConfig.log_path`` in CRI format:
  ``2026-01-02T03:04:05.123456789Z stdout F text`` (P for a partial line), mode 0640, and keeps writing over restarts of itself.

Worked scenario: sandbox = run_pod_sandbox(cfg) → network plugin adds the interface to ``sandbox.netns`` → for each container: pull_image,
create_container, start_container → list_containers every second or ``events`` → stop_container(grace) → stop_pod_sandbox →
remove_pod_sandbox.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar, Literal, Protocol

import msgspec

from bareboat.contracts.driver import Driver

GROUP = "bareboat.cri.v1"


class PortMapping(msgspec.Struct, frozen=True, kw_only=True):
    """hostPort of a container; ``protocol`` TCP, UDP or SCTP; host_ip "" is every address."""

    container_port: int
    host_port: int
    protocol: str = "TCP"
    host_ip: str = ""


class DNSConfig(msgspec.Struct, frozen=True, kw_only=True):
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``hostname`` is empty for host network.

    ``annotations`` are the pod's. ``log_directory`` exists. ``cgroup_parent`` is driver-relative ("" = driver's choice).
    """

    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DNSConfig = DNSConfig()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    sysctls: dict[str, str] = {}
    runtime_handler: str = ""


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """``netns`` is a path that a network plugin can enter ("" with host network); ``pid`` of the process that holds the namespaces."""

    id: str
    config: SandboxConfig
    state: Literal["READY", "NOTREADY"]
    created_at: int
    netns: str = ""
    pid: int = 0


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """Bind mount of ``host_path`` at ``container_path``; ``propagation`` as in the API: None, HostToContainer, Bidirectional."""

    container_path: str
    host_path: str
    readonly: bool = False
    propagation: str = "None"


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """0 means no limit. cpu_shares 2..262144, cpu_quota per cpu_period in microseconds, memory_limit in bytes."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 100_000
    memory_limit: int = 0
    pids_limit: int = 0
    oom_score_adj: int = 0


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """``run_as_user`` None means the image's user.

    Capability names without CAP_. ``seccomp``: "", "RuntimeDefault", "Unconfined" or "Localhost/<path>". ``strict_groups``: without
    those that the image's /etc/group gives the user; a runtime that cannot leave them out refuses.
    """

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    supplemental_groups: tuple[int, ...] = ()
    strict_groups: bool = False
    privileged: bool = False
    readonly_rootfs: bool = False
    allow_privilege_escalation: bool = True
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    seccomp: str = ""
    proc_mount: str = ""


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``image`` is the reference that pull_image returned; ``command`` and ``args`` override entrypoint and cmd; ``env`` in order.

    Later wins. ``target_id`` is a running container of the same sandbox whose processes it sees ("" for its own or the pod's).
    """

    name: str
    image: str
    attempt: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[tuple[str, str, str], ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    stop_signal: str = ""
    resources: Resources = Resources()
    security: Security = Security()
    target_id: str = ""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """``reason`` as upstream: Completed, Error, OOMKilled, ContainerCannotRun. Times 0 while not reached. ``pid`` while running."""

    id: str
    sandbox_id: str
    config: ContainerConfig
    state: Literal["CREATED", "RUNNING", "EXITED", "UNKNOWN"]
    image_id: str
    created_at: int
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    pid: int = 0


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is the content id, ``user`` what the image runs as ("" root, number or name), ``size`` in bytes."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    user: str = ""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    username: str = ""
    password: str = ""
    registry_token: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Of a pull: ``done`` and ``total`` in bytes, total 0 while unknown."""

    stage: str
    done: int = 0
    total: int = 0


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """``cpu_nanos`` is cumulative, ``memory_working_set`` in bytes, ``timestamp`` in nanoseconds."""

    id: str
    timestamp: int
    cpu_nanos: int
    memory_working_set: int
    memory_usage: int = 0
    pids: int = 0


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Of a terminal, in characters."""

    width: int
    height: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """``runtime_name`` and ``runtime_version`` are shown in node.status.nodeInfo.containerRuntimeVersion as name://version."""

    runtime_name: str
    runtime_version: str


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Data beside the mixins: what the driver offers. ``reachable`` False: its containers have no real network, so http and
    tcp probes count as passed."""

    host_network: bool = True
    tty: bool = True
    userns: bool = False
    resources: bool = True
    security: bool = True
    reachable: bool = True


class Streams(Protocol):
    """One running command's streams, as the node hands them out to clients. ``wait`` gives the exit code (128+n for signal n)."""

    async def write_stdin(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    def output(self) -> AsyncIterator[tuple[Literal["stdout", "stderr"], bytes]]: ...

    async def resize(self, size: Size) -> None: ...

    async def wait(self) -> int: ...

    async def close(self) -> None:
        """Let go; kills the command if it still runs. Twice is fine."""
        ...


class RuntimeDriver(Driver):
    """The twelve verbs every runtime has. See the module docstring for the rules they share."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    @abstractmethod
    async def version(self) -> Version:
        """Name and version of the back end."""

    @abstractmethod
    async def run_pod_sandbox(self, config: SandboxConfig) -> Sandbox:
        """Create the namespaces and bring the sandbox to READY. Key: (uid, attempt)."""

    @abstractmethod
    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Kill what still runs in it and release its namespaces; its containers become EXITED. Unknown id: success."""

    @abstractmethod
    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Stop if needed, remove its containers and every trace. Unknown id: success."""

    @abstractmethod
    async def list_pod_sandbox(self) -> list[Sandbox]:
        """All sandboxes on the node made through this driver instance, by whatever process."""

    @abstractmethod
    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Prepare (root file system, mounts, cgroup) without running. Returns the id. NotFound: sandbox or image unknown."""

    @abstractmethod
    async def start_container(self, container_id: str) -> None:
        """Run it. Already running: success. InvalidConfig with reason StartError/ContainerCannotRun if its command cannot be executed."""

    @abstractmethod
    async def stop_container(self, container_id: str, timeout: float) -> None:
        """Stop signal, then SIGKILL after ``timeout`` seconds; returns when it is EXITED. Unknown or exited: success."""

    @abstractmethod
    async def remove_container(self, container_id: str) -> None:
        """Kill if it runs, remove every trace but its log. Unknown id: success."""

    @abstractmethod
    async def list_containers(self) -> list[Container]:
        """All containers made through this driver instance, with exit codes of those that ended while nobody watched."""

    @abstractmethod
    async def pull_image(self, image: str, credentials: Credentials | None = None) -> str:
        """Make the image available and return the reference to create containers with.

        NotFound reason ErrImagePull / InvalidImageName otherwise.
        """

    @abstractmethod
    async def list_images(self) -> list[Image]:
        """Images that are available without a pull."""


class Exec:
    """Mixin: run a further command in a RUNNING container (NotFound otherwise)."""

    async def exec(self, container_id: str, command: tuple[str, ...], *, tty: bool = False, stdin: bool = False) -> Streams:
        raise NotImplementedError

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        """Exit code, stdout, stderr (each capped at 16 MiB). TimeoutError kills the command. Used by probes."""
        raise NotImplementedError


class Attach:
    """Mixin: the streams of the container's main process (stdin only where its config asked for it)."""

    async def attach(self, container_id: str) -> Streams:
        raise NotImplementedError


class PortForward:
    """Mixin: a connected byte stream to a port on the sandbox's loopback."""

    async def port_forward(self, sandbox_id: str, port: int) -> Streams:
        """``output`` yields ("stdout", data); write_stdin sends; Unavailable if nothing listens."""
        raise NotImplementedError


class StatsMixin:
    """Mixin: resource use."""

    async def container_stats(self) -> list[Stats]:
        raise NotImplementedError


class Events:
    """Mixin: container ids whose state changed; lets the node react at once rather than at the next relist (1 s)."""

    def events(self) -> AsyncIterator[str]:
        raise NotImplementedError


class ImageRemoval:
    """Mixin: remove_image (unknown: success; Conflict: a container has it, or it is mounted as a volume) and the bytes used on the
    image file system."""

    async def remove_image(self, image: str) -> None:
        raise NotImplementedError

    async def image_fs_bytes(self) -> int:
        raise NotImplementedError


class ImageLoading:
    """Mixin: images from a file on the node, where there is no registry."""

    async def load_image(self, path: str, tag: str = "") -> list[str]:
        """An OCI layout (a directory or a tar) or what ``docker save`` writes; ``tag`` names an image that the file does not name.

        Returns the ids. InvalidConfig if it is neither, and then nothing is kept.
        """
        raise NotImplementedError


class ImageVolumes:
    """Mixin: the files of an image as a volume."""

    async def mount_image(self, image: str, path: str) -> None:
        """Mount them read-only at ``path``, an empty directory of the node, which the node unmounts. ``image`` is what pull_image
        returned. Mounted already: success. NotFound: image unknown; InvalidConfig: it has no files of its own."""
        raise NotImplementedError


class LogReopening:
    """Mixin: logs that the node rotates."""

    async def reopen_container_log(self, container_id: str) -> None:
        """Go on in a new file at ``ContainerConfig.log_path``, after the node has renamed the old one. Not running or unknown: success."""
        raise NotImplementedError


class Update:
    """Mixin: change the resources of a running container in place."""

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        raise NotImplementedError
