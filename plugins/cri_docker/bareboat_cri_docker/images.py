"""Images of the daemon: looked up, pulled, loaded from files, removed; and the pause image, which is ours.

What comes in: references and credentials. What goes out: contract values. Credentials that the node has itself are those of
``~/.docker/config.json``, as for the ``docker`` command. Not here: who waits for a pull (``pulls``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bareboat.contracts.cri import Credentials, Image, Progress
from bareboat.contracts.errors import Conflict, InvalidConfig, NotFound, Unavailable
from bareboat.contracts.layers import REASON, mount_layers, mounted
from bareboat_cri_docker import pause, translate
from bareboat_cri_docker.archive import docker_archive
from bareboat_cri_docker.backend import Docker

Report = Callable[[Progress], None]


class Images:
    """Synchronous; any thread."""

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        self._users: dict[str, str] = {}
        self._importing = threading.Lock()

    def inspect(self, image: str) -> dict[str, Any]:
        """Raises NotFound, with the reason InvalidImageName if it cannot be a reference."""
        if not image.startswith("sha256:"):
            translate.reference(image)
        try:
            found: dict[str, Any] = self.docker.api.inspect_image(image)
        except OSError as error:
            if translate.status_of(error) == 404:
                raise NotFound(f'image "{image}" is not on this machine', reason="ErrImageNeverPull") from error
            raise
        return found

    def listing(self) -> list[Image]:
        ours = ":".join(pause.image_name()).partition(":")[0] + ":"
        entries = [e for e in self.docker.api.images() if not any(t.startswith(ours) for t in e["RepoTags"] or ())]
        return [translate.image_of(e, self._user(e["Id"])) for e in entries]

    def _user(self, image_id: str) -> str:
        """What it runs as; an id is its content, so it is looked up once."""
        if image_id not in self._users:
            try:
                self._users[image_id] = (self.docker.api.inspect_image(image_id).get("Config") or {}).get("User") or ""
            except OSError as error:
                if translate.status_of(error) != 404:
                    raise
                return ""
        return self._users[image_id]

    def pull(self, image: str, credentials: Credentials | None, report: Report) -> str:
        """The id of what the registry has under that name now."""
        repository, tag = translate.reference(image)
        client = self.docker.client()
        try:
            events = client.pull(repository, tag=tag, stream=True, decode=True, auth_config=_auth(credentials))
            problem = _follow(events, report)
            if not problem:
                return str(client.inspect_image(f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}")["Id"])
        except OSError as error:
            if not translate.status_of(error):
                raise
            problem = translate.message_of(error)
        finally:
            client.close()
        raise NotFound(f"failed to pull {image}: {problem}", reason="ErrImagePull")

    def load(self, path: Path, tag: str) -> list[str]:
        """Of a ``docker save`` archive or an OCI layout. Returns the ids."""
        try:
            with docker_archive(path) as archive:
                answers = list(self.docker.api.load_image(archive))
        except OSError as error:
            if translate.status_of(error):
                raise InvalidConfig(f"{path} is not an image archive: {translate.message_of(error)}") from error
            raise
        said = "".join(str(a.get("stream") or a.get("error") or "") for a in answers)
        prefixes = ("Loaded image: ", "Loaded image ID: ")
        names = [line.removeprefix(p) for line in said.splitlines() for p in prefixes if line.startswith(p)]
        if not names:
            raise InvalidConfig(f"{path} is not an image archive: {said.strip() or 'there is no image in it'}")
        ids = list(dict.fromkeys(str(self.docker.api.inspect_image(name)["Id"]) for name in names))
        if tag:
            self.docker.api.tag(ids[0], *translate.reference(tag))
        return ids

    def mount(self, image: str, path: str) -> None:
        """Its files at ``path``; the daemon says where its layers are, but is not told. Raises NotFound, Unavailable."""
        found = self.inspect(image)
        mount_layers(_layers(found), found["Id"], path)

    def remove(self, image: str) -> None:
        """A name; or an id with all its names. Unknown: success."""
        try:
            found = self.docker.api.inspect_image(image)
            if mounted(found["Id"]):
                raise Conflict(f"image {image} is used as a volume", reason="ImageInUse")
            names = [*(found["RepoTags"] or ()), *(found["RepoDigests"] or ())] if image == found["Id"] else [image]
            for name in names or [image]:
                self._remove(name)
            if image == found["Id"]:
                self._remove(image)
        except OSError as error:
            if translate.status_of(error) == 409:
                raise Conflict(f"image {image} is used by a container", reason="ImageInUse") from error
            if translate.status_of(error) not in (400, 404):
                raise

    def _remove(self, name: str) -> None:
        try:
            self.docker.api.remove_image(name)
        except OSError as error:
            if translate.status_of(error) != 404:
                raise

    def size(self) -> int:
        return int(self.docker.api.df()["LayersSize"] or 0)

    def pause(self) -> str:
        """The name of the pause image, which is made if the daemon has none."""
        repository, tag = pause.image_name()
        name = f"{repository}:{tag}"
        with self._importing:
            try:
                self.docker.api.inspect_image(name)
            except OSError as error:
                if translate.status_of(error) != 404:
                    raise
                changes = ['ENTRYPOINT ["/pause"]', "LABEL bareboat.dev/kind=pause"]
                self.docker.api.import_image_from_data(pause.layer(), repository=repository, tag=tag, changes=changes)
        return name


def _layers(image: dict[str, Any]) -> list[Path]:
    """The uppermost first, by the short names that the daemon has for them. Raises Unavailable."""
    driver = image.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    if driver.get("Name") != "overlay2" or "UpperDir" not in data:
        raise Unavailable(
            f"images are volumes where the daemon's storage driver is overlay2, not {driver.get('Name') or 'of containerd'}", reason=REASON
        )
    directories = [data["UpperDir"], *filter(None, (data.get("LowerDir") or "").split(":"))]
    return [_short(Path(directory)) for directory in directories]


def _short(layer: Path) -> Path:
    """``overlay2/l/SHORT``, a link to ``overlay2/LONG/diff``."""
    try:
        link = layer.parent.parent / "l" / (layer.parent / "link").read_text().strip()
    except OSError:
        return layer
    return link if link.exists() else layer


def _auth(credentials: Credentials | None) -> dict[str, str] | None:
    if credentials is None:
        return None
    if credentials.registry_token:
        return {"registrytoken": credentials.registry_token}
    return {"username": credentials.username, "password": credentials.password}


def _follow(events: Iterable[dict[str, Any]], report: Report) -> str:
    """Sums up what the layers report. Returns the daemon's complaint, if any."""
    layers: dict[str, tuple[int, int]] = {}
    for event in events:
        if "error" in event:
            return str(event["error"])
        detail = event.get("progressDetail") or {}
        if "current" in detail and event.get("status") == "Downloading":
            layers[str(event.get("id"))] = (int(detail["current"]), int(detail.get("total") or 0))
        done, total = (sum(n) for n in zip(*layers.values(), strict=True)) if layers else (0, 0)
        report(Progress(stage=str(event.get("status", "")), done=done, total=total))
    return ""
