"""What each call of the protocol does with a runtime of ours: from message to verb and back.

What comes in: a ``Served`` (the driver and the server of its streams) and a request. What goes out: the response. Errors are the
driver's own (``serving`` translates). ``VERBS`` names them by service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bareboat_cri_protocol import cri_pb2 as pb

from bareboat.contracts.cri import Container, Image, Sandbox
from bareboat.contracts.errors import NotFound
from bareboat_cri_grpc import answers, received
from bareboat_cri_grpc.stream_server import Served

Verb = Callable[[Served, Any], Awaitable[Any]]


async def version(served: Served, _: Any) -> Any:
    found = await served.driver.version()
    return pb.VersionResponse(
        version="0.1.0", runtime_name=found.runtime_name, runtime_version=found.runtime_version, runtime_api_version="v1"
    )


async def status(served: Served, _: Any) -> Any:
    """The network is its client's, so nothing is missing from it."""
    health = await served.driver.status()
    ready = pb.RuntimeCondition(type="RuntimeReady", status=health.ready, reason=health.reason, message=health.message)
    network = pb.RuntimeCondition(type="NetworkReady", status=True)
    return pb.StatusResponse(status=pb.RuntimeStatus(conditions=[ready, network]))


async def update_runtime_config(_: Served, __: Any) -> Any:
    return pb.UpdateRuntimeConfigResponse()


async def run_pod_sandbox(served: Served, m: Any) -> Any:
    made = await served.driver.run_pod_sandbox(received.sandbox(m.config, m.runtime_handler))
    return pb.RunPodSandboxResponse(pod_sandbox_id=made.id)


async def stop_pod_sandbox(served: Served, m: Any) -> Any:
    await served.driver.stop_pod_sandbox(m.pod_sandbox_id)
    return pb.StopPodSandboxResponse()


async def remove_pod_sandbox(served: Served, m: Any) -> Any:
    await served.driver.remove_pod_sandbox(m.pod_sandbox_id)
    return pb.RemovePodSandboxResponse()


async def _sandbox(served: Served, sandbox_id: str) -> Sandbox:
    listed: list[Sandbox] = await served.driver.list_pod_sandbox()
    for found in listed:
        if found.id == sandbox_id:
            return found
    raise NotFound(f"sandbox {sandbox_id} is unknown")


async def pod_sandbox_status(served: Served, m: Any) -> Any:
    return answers.sandbox_status(await _sandbox(served, m.pod_sandbox_id), verbose=m.verbose)


def _selected(labels: dict[str, str], wanted: Any) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


async def list_pod_sandbox(served: Served, m: Any) -> Any:
    items = []
    for found in await served.driver.list_pod_sandbox():
        message = answers.sandbox(found)
        other = m.filter.HasField("state") and message.state != m.filter.state.state
        if m.filter.id in ("", found.id) and not other and _selected(found.config.labels, m.filter.label_selector):
            items.append(message)
    return pb.ListPodSandboxResponse(items=items)


async def create_container(served: Served, m: Any) -> Any:
    of = await _sandbox(served, m.pod_sandbox_id)
    config = received.container(m.config, of.config.log_directory)
    return pb.CreateContainerResponse(container_id=await served.driver.create_container(m.pod_sandbox_id, config))


async def start_container(served: Served, m: Any) -> Any:
    await served.driver.start_container(m.container_id)
    return pb.StartContainerResponse()


async def stop_container(served: Served, m: Any) -> Any:
    await served.driver.stop_container(m.container_id, float(m.timeout))
    return pb.StopContainerResponse()


async def remove_container(served: Served, m: Any) -> Any:
    await served.driver.remove_container(m.container_id)
    return pb.RemoveContainerResponse()


async def _container(served: Served, container_id: str) -> Container:
    listed: list[Container] = await served.driver.list_containers()
    for found in listed:
        if found.id == container_id:
            return found
    raise NotFound(f"container {container_id} is unknown")


async def list_containers(served: Served, m: Any) -> Any:
    items = []
    for found in await served.driver.list_containers():
        message = answers.container(found)
        other = m.filter.HasField("state") and message.state != m.filter.state.state
        mine = m.filter.id in ("", found.id) and m.filter.pod_sandbox_id in ("", found.sandbox_id)
        if mine and not other and _selected(found.config.labels, m.filter.label_selector):
            items.append(message)
    return pb.ListContainersResponse(containers=items)


async def container_status(served: Served, m: Any) -> Any:
    return answers.container_status(await _container(served, m.container_id), verbose=m.verbose)


async def update_container_resources(served: Served, m: Any) -> Any:
    await served.driver.update_container_resources(m.container_id, received.resources(m.linux))
    return pb.UpdateContainerResourcesResponse()


async def reopen_container_log(served: Served, m: Any) -> Any:
    await served.driver.reopen_container_log(m.container_id)
    return pb.ReopenContainerLogResponse()


async def exec_sync(served: Served, m: Any) -> Any:
    code, out, err = await served.driver.exec_sync(m.container_id, tuple(m.cmd), float(m.timeout or 86400))
    return pb.ExecSyncResponse(exit_code=code, stdout=out, stderr=err)


async def exec_(served: Served, m: Any) -> Any:
    await _container(served, m.container_id)
    return pb.ExecResponse(
        url=served.url("exec", lambda: served.driver.exec(m.container_id, tuple(m.cmd), tty=m.tty, stdin=m.stdin), tty=m.tty)
    )


async def attach(served: Served, m: Any) -> Any:
    await _container(served, m.container_id)
    return pb.AttachResponse(url=served.url("attach", lambda: served.driver.attach(m.container_id), tty=m.tty))


async def port_forward(served: Served, m: Any) -> Any:
    await _sandbox(served, m.pod_sandbox_id)
    return pb.PortForwardResponse(url=served.forward(m.pod_sandbox_id, tuple(m.port)))


async def container_stats(served: Served, m: Any) -> Any:
    of = await _container(served, m.container_id)
    found = [s for s in await served.driver.container_stats() if s.id == m.container_id]
    return pb.ContainerStatsResponse(stats=answers.stats(found[0], of) if found else None)


async def list_container_stats(served: Served, m: Any) -> Any:
    known = {c.id: c for c in await served.driver.list_containers()}

    def wanted(of: Container) -> bool:
        mine = m.filter.id in ("", of.id) and m.filter.pod_sandbox_id in ("", of.sandbox_id)
        return mine and _selected(of.config.labels, m.filter.label_selector)

    found = [(s, known[s.id]) for s in await served.driver.container_stats() if s.id in known]
    return pb.ListContainerStatsResponse(stats=[answers.stats(s, of) for s, of in found if wanted(of)])


def _called(found: Image, name: str) -> bool:
    return name in (found.id, found.id.removeprefix("sha256:")) or any(n in (name, f"{name}:latest") for n in (*found.tags, *found.digests))


async def list_images(served: Served, m: Any) -> Any:
    name = m.filter.image.image
    return pb.ListImagesResponse(images=[answers.image(i) for i in await served.driver.list_images() if not name or _called(i, name)])


async def image_status(served: Served, m: Any) -> Any:
    found = [i for i in await served.driver.list_images() if _called(i, m.image.image)]
    return pb.ImageStatusResponse(image=answers.image(found[0]) if found else None)


async def pull_image(served: Served, m: Any) -> Any:
    return pb.PullImageResponse(image_ref=await served.driver.pull_image(m.image.image, received.credentials(m.auth)))


async def remove_image(served: Served, m: Any) -> Any:
    await served.driver.remove_image(m.image.image)
    return pb.RemoveImageResponse()


async def image_fs_info(served: Served, _: Any) -> Any:
    usage = pb.FilesystemUsage(used_bytes=pb.UInt64Value(value=await served.driver.image_fs_bytes()))
    return pb.ImageFsInfoResponse(image_filesystems=[usage])


VERBS: dict[str, dict[str, Verb]] = {
    "RuntimeService": {
        "Version": version,
        "Status": status,
        "UpdateRuntimeConfig": update_runtime_config,
        "RunPodSandbox": run_pod_sandbox,
        "StopPodSandbox": stop_pod_sandbox,
        "RemovePodSandbox": remove_pod_sandbox,
        "PodSandboxStatus": pod_sandbox_status,
        "ListPodSandbox": list_pod_sandbox,
        "CreateContainer": create_container,
        "StartContainer": start_container,
        "StopContainer": stop_container,
        "RemoveContainer": remove_container,
        "ListContainers": list_containers,
        "ContainerStatus": container_status,
        "UpdateContainerResources": update_container_resources,
        "ReopenContainerLog": reopen_container_log,
        "ExecSync": exec_sync,
        "Exec": exec_,
        "Attach": attach,
        "PortForward": port_forward,
        "ContainerStats": container_stats,
        "ListContainerStats": list_container_stats,
    },
    "ImageService": {
        "ListImages": list_images,
        "ImageStatus": image_status,
        "PullImage": pull_image,
        "RemoveImage": remove_image,
        "ImageFsInfo": image_fs_info,
    },
}
