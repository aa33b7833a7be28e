"""A pod's volumes: directories of the agent, filled from the API, changed atomically, gone without a trace.

What comes in: a pod's volumes. What goes out: paths to mount into its containers. ConfigMaps, Secrets, the downward API and tokens are
files (``atomic_files``); claims and inline volumes are the drivers' (``storage``).
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bareboat.contracts import cri
from bareboat.models import core_v1
from bareboat.models.quantity import Quantity
from bareboat.node.atomic_files import File, Files, write_atomically
from bareboat.node.environment import ConfigError, expand, field, resource
from bareboat.node.mount_errors import MountFailed
from bareboat.node.storage.publishing import NodeStorage
from bareboat.node.storage.records import below
from bareboat.node.translation import security

TokenSource = Callable[[core_v1.Pod, Any], Awaitable[str]]
Image = Callable[[core_v1.Pod, core_v1.Volume, Path], Awaitable[None]]
Find = Callable[[type[Any], str, str], Awaitable[Any]]


#: Every pod shows this one, and it hardly ever changes.
ROOT_CA = "kube-root-ca.crt"
READ_ONLY = ("configMap", "secret", "downwardAPI", "projected", "image")
SOON, LATER = 10.0, 60.0


class Volumes:
    """The volumes of one pod under one directory."""

    def __init__(
        self,
        directory: Path,
        find: Find,
        token: TokenSource,
        allocatable: Mapping[str, str],
        image: Image,
        storage: NodeStorage,
    ) -> None:
        self._image = image
        self._storage = storage
        #: Of volumes that are elsewhere than in the directory.
        self._places: dict[str, Path] = {}
        self._readonly: set[str] = set()
        self._directory = directory
        self._find = find
        self._token = token
        self._allocatable = allocatable
        self._written: dict[str, Files] = {}

    def path(self, volume: core_v1.Volume) -> Path:
        return self._places.get(volume.name) or self._directory / "volumes" / volume.name

    async def set_up(self, pod: core_v1.Pod) -> list[MountFailed]:
        """Make or refresh every volume; why some are not as new as they could be. Raises MountFailed if one is not there at all."""
        stale = []
        for volume in pod.spec.volumes:
            try:
                await self._one(pod, volume)
            except OSError as error:
                raise MountFailed(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
            except MountFailed as error:
                if volume.name not in self._written and volume.name not in self._places:
                    raise
                stale.append(error)
        return stale

    async def _one(self, pod: core_v1.Pod, volume: core_v1.Volume) -> None:
        if volume.persistentVolumeClaim is not None or volume.ephemeral is not None or volume.csi is not None:
            place, found = await self._storage.set_up(pod, volume, self._directory)
            self._places[volume.name] = place
            if found.readonly:
                self._readonly.add(volume.name)
        elif volume.emptyDir is not None:
            self._empty_dir(pod, volume)
        elif volume.hostPath is not None:
            _check_host_path(volume)
        elif volume.image is not None:
            await self._image(pod, volume, self.path(volume))
        elif any(getattr(volume, s) is not None for s in ("configMap", "secret", "downwardAPI", "projected")):
            group = pod.spec.securityContext.fsGroup if pod.spec.securityContext is not None else None
            files = await self._files(pod, volume)
            if self._written.get(volume.name) != files:
                write_atomically(self.path(volume), files, group)
                self._written[volume.name] = files
        else:
            raise MountFailed(f'volume "{volume.name}": no storage driver for this kind of volume is installed on the node')

    def _empty_dir(self, pod: core_v1.Pod, volume: core_v1.Volume) -> None:
        path, source = self.path(volume), volume.emptyDir
        assert source is not None
        if path.exists() and (source.medium != "Memory" or path.is_mount()):
            return
        path.mkdir(parents=True, exist_ok=True)
        if source.medium == "Memory":
            size = f",size={Quantity.parse(source.sizeLimit).value()}" if source.sizeLimit else ""
            _mount("-t", "tmpfs", "-o", f"mode=0777,nosuid,nodev{size}", "tmpfs", str(path))
        elif source.medium:
            raise MountFailed(f'volume "{volume.name}": medium {source.medium} is not offered by the node')
        path.chmod(0o777)
        security = pod.spec.securityContext
        if security is not None and security.fsGroup is not None:
            os.chown(path, -1, security.fsGroup)
            path.chmod(0o2777)

    async def _files(self, pod: core_v1.Pod, volume: core_v1.Volume) -> Files:
        if volume.configMap is not None:
            source = volume.configMap
            return await self._from_map(pod, core_v1.ConfigMap, source.name, source, source.defaultMode)
        if volume.secret is not None:
            return await self._from_map(pod, core_v1.Secret, volume.secret.secretName, volume.secret, volume.secret.defaultMode)
        if volume.downwardAPI is not None:
            return self._downward(pod, volume.downwardAPI.items, volume.downwardAPI.defaultMode)
        projected = volume.projected
        assert projected is not None
        files: Files = {}
        for part in projected.sources:
            files |= await self._projection(pod, part, projected.defaultMode)
        return files

    async def _projection(self, pod: core_v1.Pod, part: Any, mode: int | None) -> Files:
        if part.configMap is not None:
            return await self._from_map(pod, core_v1.ConfigMap, part.configMap.name, part.configMap, mode)
        if part.secret is not None:
            return await self._from_map(pod, core_v1.Secret, part.secret.name, part.secret, mode)
        if part.downwardAPI is not None:
            return self._downward(pod, part.downwardAPI.items, mode)
        if part.serviceAccountToken is not None:
            token = await self._token(pod, part.serviceAccountToken)
            user, group = _only_user(pod), pod.spec.securityContext.fsGroup if pod.spec.securityContext is not None else None
            private = mode is None or user is not None or group is not None
            return {part.serviceAccountToken.path: File(token.encode(), 0o600 if private else mode or 0, user)}
        raise MountFailed("this kind of projection is not offered by the node")

    async def _from_map(self, pod: core_v1.Pod, cls: type[Any], name: str, source: Any, mode: int | None) -> Files:
        found = await self._find(cls, name, pod.metadata.namespace)
        kind = "configmap" if cls is core_v1.ConfigMap else "secret"
        if found is None:
            if source.optional:
                return {}
            raise MountFailed(f'{kind} "{name}" not found')
        data = {k: base64.b64decode(v) for k, v in (found.binaryData if kind == "configmap" else found.data).items()}
        if kind == "configmap":
            data |= {k: v.encode() for k, v in found.data.items()}
        default = 0o644 if mode is None else mode
        if not source.items:
            return {k: File(v, default) for k, v in data.items()}
        files: Files = {}
        for item in source.items:
            if item.key in data:
                files[item.path] = File(data[item.key], default if item.mode is None else item.mode)
            elif not source.optional:
                raise MountFailed(f"references non-existent {kind} key: {item.key}")
        return files

    def _downward(self, pod: core_v1.Pod, items: list[Any], mode: int | None) -> Files:
        files: Files = {}
        for item in items:
            if item.fieldRef is not None:
                text = field(pod, item.fieldRef.fieldPath)
            else:
                reference = item.resourceFieldRef
                container = next((c for c in pod.spec.containers if c.name == reference.containerName), pod.spec.containers[0])
                text = resource(container, reference.resource, reference.divisor, self._allocatable)
            chosen = item.mode if item.mode is not None else 0o644 if mode is None else mode
            files[item.path] = File(text.encode(), chosen)
        return files

    def mounts(self, pod: core_v1.Pod, container: core_v1.Container, environment: Mapping[str, str]) -> tuple[cri.Mount, ...]:
        """The container's mounts. Raises ConfigError."""
        volumes = {v.name: v for v in pod.spec.volumes}
        found = []
        for mount in container.volumeMounts:
            volume = volumes[mount.name]
            source = Path(volume.hostPath.path) if volume.hostPath is not None else self.path(volume)
            part = mount.subPath or (expand(mount.subPathExpr, environment) if mount.subPathExpr else "")
            if part:
                source = _sub_path(source, part, make=volume.image is None)
            readonly = mount.readOnly or volume.name in self._readonly or any(getattr(volume, s) is not None for s in READ_ONLY)
            found.append(
                cri.Mount(
                    container_path=mount.mountPath, host_path=str(source), readonly=readonly, propagation=mount.mountPropagation or "None"
                )
            )
        return tuple(found)

    def devices(self, container: core_v1.Container) -> tuple[tuple[str, str, str], ...]:
        """The raw devices that the container wants: where they are, where it wants them, and what it may do."""
        return tuple((str(self._places[d.name]), d.devicePath, "r" if d.name in self._readonly else "rwm") for d in container.volumeDevices)

    async def tear_down(self) -> None:
        """Unmount and remove everything of the pod. Twice is fine. Raises MountFailed."""
        await self.release()
        if self._directory.exists():
            shutil.rmtree(self._directory)

    async def release(self) -> None:
        """Unmount and remove the volumes. Nothing that is still mounted is ever deleted. Raises MountFailed."""
        self._written.clear()
        self._places.clear()
        await self._storage.tear_down(self._directory)
        for path in below(self._directory):
            done = subprocess.run(["umount", path], capture_output=True, text=True, check=False)  # noqa: ASYNC221, S603, S607
            if done.returncode:
                raise MountFailed(f"UnmountVolume.TearDown failed : {done.stderr.strip()}")
        if (self._directory / "volumes").exists():
            shutil.rmtree(self._directory / "volumes")


def _only_user(pod: core_v1.Pod) -> int | None:
    """Whom every container runs as, if all say so and it is the same: a token is that user's alone."""
    users = {security(pod, container).run_as_user for container in (*pod.spec.initContainers, *pod.spec.containers)}
    return users.pop() if len(users) == 1 else None


def refresh_after(pod: core_v1.Pod) -> float:
    """Seconds after which to see whether what the volumes show has changed: soon for what people edit."""
    sources = [s for v in pod.spec.volumes for s in (v, *(v.projected.sources if v.projected is not None else ()))]
    edited = any(s.secret is not None or (s.configMap is not None and s.configMap.name != ROOT_CA) for s in sources)
    edited = edited or any(v.persistentVolumeClaim is not None or v.ephemeral is not None for v in pod.spec.volumes)
    return SOON if edited else LATER


def _sub_path(source: Path, part: str, *, make: bool) -> Path:
    """Made if it is not there. Links in the volume are followed, as long as they stay in it."""
    if part.startswith("/") or ".." in part.split("/"):
        raise ConfigError(f"subPath {part!r} leads out of the volume")
    resolved, root = (source / part).resolve(), source.resolve()
    if not resolved.is_relative_to(root):
        raise ConfigError(f"failed to prepare subPath for volumeMount: {part} leads out of the volume")
    try:
        if not resolved.exists():
            if not make:
                raise ConfigError(f"failed to prepare subPath for volumeMount: {part} does not exist in the image")
            resolved.mkdir(mode=0o750, parents=True)
            resolved.chmod(source.stat().st_mode & 0o7777)
    except OSError as error:
        raise ConfigError(f"failed to create subPath directory for volumeMount: {part}: {error.strerror}") from error
    return resolved


def _check_host_path(volume: core_v1.Volume) -> None:
    source = volume.hostPath
    assert source is not None
    path, kind = Path(source.path), source.type or ""
    if kind == "DirectoryOrCreate" or (not kind and not path.exists()):  # without a type nothing is checked, and runtimes make it
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    checks = {"Directory": path.is_dir, "DirectoryOrCreate": path.is_dir, "File": path.is_file, "FileOrCreate": path.is_file}
    checks |= {"Socket": path.is_socket, "CharDevice": path.is_char_device, "BlockDevice": path.is_block_device}
    if kind in checks and not checks[kind]():
        raise MountFailed(f"hostPath type check failed: {source.path} is not a {kind.removesuffix('OrCreate').lower()}")


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise MountFailed(done.stderr.strip())
