"""Files that an agent makes for a pod besides its volumes: hosts, resolv.conf, termination messages, logs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.node import logs
from bareboat.node.config import NodeConfig
from bareboat.node.translation import hostname

_LOCAL = (
    *("# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"),
    *("fe00::0\tip6-localnet", "fe00::0\tip6-mcastprefix", "fe00::1\tip6-allnodes", "fe00::2\tip6-allrouters"),
)
#: Bytes of a termination message at most.
MESSAGE_LIMIT = 4096


class PodFiles:
    """``directory`` holds what goes with the pod; ``log_directory`` its containers' logs."""

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self._directory = directory
        self._logs = log_directory

    def logs(self) -> Path:
        self._logs.mkdir(mode=0o755, parents=True, exist_ok=True)
        return self._logs

    def log(self, container: str, attempt: int) -> Path:
        directory = self.logs() / container
        directory.mkdir(mode=0o755, exist_ok=True)
        return directory / f"{attempt}.log"

    def mounts(self, pod: core_v1.Pod, container: core_v1.Container, address: str, config: NodeConfig) -> tuple[cri.Mount, ...]:
        """/etc/hosts, /etc/resolv.conf and the termination message file of a container."""
        files = self._directory / "etc"
        files.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = [
            self._file(files / "hosts", hosts(pod, address, config.domain), "/etc/hosts"),
            self._file(files / "resolv.conf", resolv_conf(pod, config.domain, config.dns_servers), "/etc/resolv.conf"),
        ]
        message = self._message(container.name)
        message.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        message.write_bytes(b"")
        message.chmod(0o666)
        found.append(cri.Mount(container_path=container.terminationMessagePath or "/dev/termination-log", host_path=str(message)))
        taken = {m.mountPath for m in container.volumeMounts}
        return tuple(m for m in found if m.container_path not in taken)

    def _file(self, path: Path, text: str, target: str) -> cri.Mount:
        path.write_text(text)
        path.chmod(0o644)
        return cri.Mount(container_path=target, host_path=str(path))

    def _message(self, container: str) -> Path:
        return self._directory / "messages" / container

    def termination_message(self, container: core_v1.Container, ended: cri.Container) -> str:
        """What the container left behind; the end of its log if it failed and the policy says so."""
        path = self._message(container.name)
        text = path.read_bytes()[-MESSAGE_LIMIT:].decode(errors="replace") if path.exists() else ""
        if text or container.terminationMessagePolicy != "FallbackToLogsOnError" or ended.exit_code == 0:
            return text
        return logs.ending(Path(ended.config.log_path), lines=80, limit=2048).decode(errors="replace")

    def remove_logs(self) -> None:
        if self._logs.exists():
            shutil.rmtree(self._logs)


def hosts(pod: core_v1.Pod, address: str, domain: str) -> str:
    """The comments are what tells people, and the conformance tests, whose file it is."""
    if pod.spec.hostNetwork:
        text = f"# Kubernetes-managed hosts file (host network).\n{Path('/etc/hosts').read_text()}"
    else:
        name = hostname(pod)
        full = f"{name}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}\t" if pod.spec.subdomain else ""
        text = "\n".join([*_LOCAL, f"{address}\t{full}{name}", ""])
    if not pod.spec.hostAliases:
        return text
    aliases = [f"{alias.ip}\t" + "\t".join(alias.hostnames) for alias in pod.spec.hostAliases]
    return "\n".join([text, "# Entries added by HostAliases.", *aliases, ""])


def resolv_conf(pod: core_v1.Pod, domain: str, cluster: Sequence[str]) -> str:
    """The cluster's name servers and search domains for ClusterFirst, else the node's own; dnsConfig on top."""
    servers, searches, options = _of_node() if pod.spec.dnsPolicy != "None" else ([], [], [])
    if _is_cluster_first(pod):
        searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain, *searches]
        servers, options = list(cluster) or servers, ["ndots:5"]
    config = pod.spec.dnsConfig
    if config is not None:
        servers += [s for s in config.nameservers if s not in servers]
        searches += [s for s in config.searches if s not in searches]
        named = {o.name: f"{o.name}:{o.value}" if o.value else o.name for o in config.options}
        options = [o for o in options if o.partition(":")[0] not in named] + list(named.values())
    lines = [f"nameserver {s}" for s in servers[:3]]
    lines += [f"search {' '.join(searches[:32])}"] if searches else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def _is_cluster_first(pod: core_v1.Pod) -> bool:
    """In the network of the node ClusterFirst means the node's own."""
    return pod.spec.dnsPolicy == "ClusterFirstWithHostNet" or (pod.spec.dnsPolicy == "ClusterFirst" and not pod.spec.hostNetwork)


def _of_node() -> tuple[list[str], list[str], list[str]]:
    servers, searches, options = [], [], []
    for line in Path("/etc/resolv.conf").read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver":
            servers += rest[:1]
        elif word == "search":
            searches = rest
        elif word == "options":
            options = rest
    return servers, searches, options
