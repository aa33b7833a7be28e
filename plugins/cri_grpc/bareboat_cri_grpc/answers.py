"""From the contract's values to the messages that a client of our socket gets. Pure; the opposite of ``listing``."""

from __future__ import annotations

from typing import Any

import msgspec
from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import Container, Image, Sandbox, Stats
from bareboat_cri_grpc.translate import namespaces

STATES = {
    "CREATED": pb.CONTAINER_CREATED,
    "RUNNING": pb.CONTAINER_RUNNING,
    "EXITED": pb.CONTAINER_EXITED,
    "UNKNOWN": pb.CONTAINER_UNKNOWN,
}


def _of(found: Sandbox) -> dict[str, Any]:
    config = found.config
    return {
        "id": found.id,
        "metadata": pb.PodSandboxMetadata(name=config.name, uid=config.uid, namespace=config.namespace, attempt=config.attempt),
        "state": pb.SANDBOX_READY if found.state == "READY" else pb.SANDBOX_NOTREADY,
        "created_at": found.created_at,
        "labels": config.labels,
        "annotations": config.annotations,
        "runtime_handler": config.runtime_handler,
    }


def sandbox(found: Sandbox) -> Any:
    return pb.PodSandbox(**_of(found))


def sandbox_status(found: Sandbox, *, verbose: bool) -> Any:
    status = pb.PodSandboxStatus(**_of(found), network=pb.PodSandboxNetworkStatus())
    status.linux.namespaces.options.CopyFrom(namespaces(found.config))
    spaces = [{"type": "network", "path": found.netns}] if found.netns else []
    info = {"pid": found.pid, "runtimeSpec": {"linux": {"namespaces": spaces}}}
    return pb.PodSandboxStatusResponse(status=status, info={"info": msgspec.json.encode(info).decode()} if verbose else {})


def _container(found: Container) -> dict[str, Any]:
    config = found.config
    return {
        "id": found.id,
        "metadata": pb.ContainerMetadata(name=config.name, attempt=config.attempt),
        "image": pb.ImageSpec(image=config.image),
        "image_ref": found.image_id,
        "state": STATES[found.state],
        "created_at": found.created_at,
        "labels": config.labels,
        "annotations": config.annotations,
    }


def container(found: Container) -> Any:
    return pb.Container(**_container(found), pod_sandbox_id=found.sandbox_id)


def container_status(found: Container, *, verbose: bool) -> Any:
    status = pb.ContainerStatus(
        **_container(found),
        started_at=found.started_at,
        finished_at=found.finished_at,
        exit_code=found.exit_code,
        reason=found.reason,
        message=found.message,
        log_path=found.config.log_path,
        mounts=[pb.Mount(container_path=m.container_path, host_path=m.host_path, readonly=m.readonly) for m in found.config.mounts],
    )
    info = {"pid": found.pid, "sandboxID": found.sandbox_id}
    return pb.ContainerStatusResponse(status=status, info={"info": msgspec.json.encode(info).decode()} if verbose else {})


def image(found: Image) -> Any:
    message = pb.Image(id=found.id, repo_tags=found.tags, repo_digests=found.digests, size=found.size)
    user = found.user.split(":")[0]
    if user.isdigit() or not user:
        message.uid.value = int(user or 0)
    else:
        message.username = user
    return message


def stats(found: Stats, of: Container) -> Any:
    message = pb.ContainerStats(
        attributes=pb.ContainerAttributes(
            id=found.id,
            metadata=pb.ContainerMetadata(name=of.config.name, attempt=of.config.attempt),
            labels=of.config.labels,
            annotations=of.config.annotations,
        )
    )
    message.cpu.timestamp = message.memory.timestamp = found.timestamp
    message.cpu.usage_core_nano_seconds.value = found.cpu_nanos
    message.memory.working_set_bytes.value = found.memory_working_set
    message.memory.usage_bytes.value = found.memory_usage
    return message
