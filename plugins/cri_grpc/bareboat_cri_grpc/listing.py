"""From what a runtime lists to the contract's values. Pure.

``info`` of a verbose status is the runtime's own JSON; containerd and CRI-O have the process id and the specification of the namespaces
in it, and so has our own face.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import Container, ContainerConfig, Image, Sandbox, SandboxConfig, Stats
from bareboat_cri_grpc.translate import CONFIG

STATES: dict[int, Literal["CREATED", "RUNNING", "EXITED", "UNKNOWN"]] = {
    pb.CONTAINER_CREATED: "CREATED",
    pb.CONTAINER_RUNNING: "RUNNING",
    pb.CONTAINER_EXITED: "EXITED",
    pb.CONTAINER_UNKNOWN: "UNKNOWN",
}


def details(info: Any) -> tuple[int, str]:
    """Process id and path of the network namespace; 0 and "" where the runtime does not say."""
    try:
        found = msgspec.json.decode(info["info"]) if "info" in info else {}
    except msgspec.DecodeError:
        return 0, ""
    spaces = ((found.get("runtimeSpec") or {}).get("linux") or {}).get("namespaces") or []
    path = next((s.get("path", "") for s in spaces if s.get("type") == "network"), "")
    pid = int(found.get("pid") or 0)
    return pid, path or (f"/proc/{pid}/ns/net" if pid else "")


def sandbox(message: Any, info: Any) -> Sandbox:
    config = msgspec.json.decode(message.annotations[CONFIG], type=SandboxConfig)
    pid, netns = details(info)
    ready = message.state == pb.SANDBOX_READY
    return Sandbox(
        id=message.id,
        config=config,
        state="READY" if ready else "NOTREADY",
        created_at=message.created_at,
        netns="" if config.host_network or not ready else netns,
        pid=pid if ready else 0,
    )


def container(sandbox_id: str, message: Any, info: Any) -> Container:
    config = msgspec.json.decode(message.annotations[CONFIG], type=ContainerConfig)
    state = STATES.get(message.state, "UNKNOWN")
    ended = state == "EXITED"
    return Container(
        id=message.id,
        sandbox_id=sandbox_id,
        config=config,
        state=state,
        image_id=message.image_ref,
        created_at=message.created_at,
        started_at=message.started_at if state != "CREATED" else 0,
        finished_at=max(message.finished_at, message.started_at) if ended else 0,  # containerd notes a start after a quick end
        exit_code=message.exit_code if ended else 0,
        reason=message.reason if ended else "",
        message=message.message,
        pid=details(info)[0] if state == "RUNNING" else 0,
    )


def image(message: Any) -> Image:
    user = str(message.uid.value) if message.HasField("uid") else message.username
    return Image(
        id=message.id,
        tags=tuple(message.repo_tags),
        digests=tuple(message.repo_digests),
        size=message.size,
        user="" if user == "0" else user,
    )


def stats(message: Any) -> Stats:
    memory = message.memory
    return Stats(
        id=message.attributes.id,
        timestamp=message.cpu.timestamp or message.memory.timestamp,
        cpu_nanos=message.cpu.usage_core_nano_seconds.value,
        memory_working_set=memory.working_set_bytes.value,
        memory_usage=memory.usage_bytes.value or memory.working_set_bytes.value,
    )
