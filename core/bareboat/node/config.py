"""What an agent is told about its node."""

from __future__ import annotations

import msgspec

from bareboat.models import core_v1

#: Labels on sandboxes and containers, as upstream's kubelet sets them.
POD_NAME, POD_NAMESPACE, POD_UID = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"


class NodeConfig(msgspec.Struct, kw_only=True):
    """``port`` is where the agent's own HTTPS API listens. Capacities: cpu in cores, memory in bytes.

    ``capacity`` adds to or replaces what the machine has, ``reserved`` is kept from pods (quantities). ``pod_cidr`` is used when
    no controller gives the node a range. ``files`` False writes no volume and no pod file: nodes as data. ``unsafe_sysctls``
    are names or prefixes ending in ``*``. ``refresh_seconds`` bounds how long a changed ConfigMap takes to reach a volume.
    """

    name: str
    internal_ip: str
    cluster_cidr: str
    service_cidr: str
    domain: str = "cluster.local"
    dns: tuple[str, ...] = ()
    resolv_conf: str = "/etc/resolv.conf"
    port: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: list[core_v1.Taint] = []
    provider_id: str = ""
    pod_cidr: str = ""
    max_pods: int = 110
    pod_pids_limit: int = 0
    cpu: int = 1
    memory: int = 0
    capacity: dict[str, str] = {}
    reserved: dict[str, str] = {}
    lease_seconds: float = 10.0
    status_seconds: float = 300.0
    refresh_seconds: float = 20.0
    unsafe_sysctls: tuple[str, ...] = ()
    log_bytes: int = 10 * 1024 * 1024
    log_files: int = 5
    files: bool = True
