"""Images: pulled as the pull policy says, with the pod's pull secrets, and a back-off after failures.

What comes in: a pod's container. What goes out: the reference to create it with, and the events that tell people what is going on. The
back-off is per pod and image, as upstream's is: a pod that brings better secrets need not wait for one that has none.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from bareboat.base.clock import Clock
from bareboat.contracts import cri
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1
from bareboat.node import image_names
from bareboat.node.pull_secrets import Keyring

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0
#: A failure that nobody came back to for this long is forgotten.
FORGET = 2 * LONGEST_WAIT
_REASONS = frozenset({"ErrImagePull", "InvalidImageName", "RegistryUnavailable", "SignatureValidationFailed"})

Event = Callable[[core_v1.Pod, str, str, str], None]
Find = Callable[[type[Any], str, str], Awaitable[Any]]


class ImageFailure(Exception):
    """``reason`` as the container's waiting reason, ``wait`` seconds before the next try."""

    def __init__(self, reason: str, message: str, wait: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.wait = wait


class _BackOff(msgspec.Struct):
    wait: float
    until: float
    message: str


class Images:
    """For one runtime. ``find`` looks up an object by type, name and namespace, None if there is none."""

    failure = ImageFailure

    def __init__(self, runtime: cri.RuntimeDriver, clock: Clock, find: Find) -> None:
        self._runtime = runtime
        self._clock = clock
        self._find = find
        self._failed: dict[tuple[str, str], _BackOff] = {}

    async def ensure(self, pod: core_v1.Pod, container: core_v1.Container, event: Event) -> str:
        """The reference to create the container with. Raises ImageFailure."""
        image, policy = container.image, container.imagePullPolicy
        if not image_names.is_valid(image):
            message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format'
            event(pod, "Warning", "InspectFailed", message)
            raise ImageFailure("InvalidImageName", message, FIRST_WAIT)
        if policy != "Always":
            present = await self._present(image)
            if present is not None:
                event(pod, "Normal", "Pulled", f'Container image "{image}" already present on machine and can be accessed by the pod')
                return image
            if policy == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                event(pod, "Warning", "ErrImageNeverPull", message)
                raise ImageFailure("ErrImageNeverPull", message, FIRST_WAIT)
        return await self._pulled(pod, image, event)

    async def _present(self, image: str) -> cri.Image | None:
        name = image_names.full(image)
        for found in await self._runtime.list_images():
            if image == found.id or any(name == image_names.full(known) for known in (*found.tags, *found.digests)):
                return found
        return None

    async def _pulled(self, pod: core_v1.Pod, image: str, event: Event) -> str:
        key = (pod.metadata.uid, image)
        asked = self._clock.monotonic()
        self._forget(asked)
        failed = self._failed.get(key)
        if failed is not None and failed.until > asked:
            event(pod, "Normal", "BackOff", f'Back-off pulling image "{image}"')
            raise ImageFailure("ImagePullBackOff", f'Back-off pulling image "{image}": {failed.message}', failed.until - asked)
        event(pod, "Normal", "Pulling", f'Pulling image "{image}"')
        keyring = Keyring(await self._secrets(pod, event))
        started = self._clock.monotonic()
        try:
            reference = await self._pull(image, keyring.lookup(image))
        except DriverError as error:
            raise self._failure(key, image, error, failed, lambda text: event(pod, "Warning", "Failed", text)) from error
        ended = self._clock.monotonic()
        self._failed.pop(key, None)
        size = next((i.size for i in await self._runtime.list_images() if reference == i.id or reference in i.tags), 0)
        took, waited = go_duration(ended - started), go_duration(ended - asked)
        text = f'Successfully pulled image "{image}" in {took} ({waited} including waiting). Image size: {size} bytes.'
        event(pod, "Normal", "Pulled", text)
        return reference

    async def _pull(self, image: str, credentials: Sequence[cri.Credentials]) -> str:
        """With each of the credentials in turn, without any if there are none. The last failure is raised, with all in its words."""
        failures: list[DriverError] = []
        for candidate in credentials or (None,):
            try:
                return await self._runtime.pull_image(image, candidate)
            except DriverError as error:
                failures.append(error)
        last = failures[-1]
        if len(failures) > 1:
            words = list(dict.fromkeys(f.message for f in failures))
            last.message = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
        raise last

    def _failure(
        self, key: tuple[str, str], image: str, error: DriverError, before: _BackOff | None, tell: Callable[[str], None]
    ) -> ImageFailure:
        tell(f'Failed to pull image "{image}": {error.message}')
        reason = error.reason if error.reason in _REASONS else "ErrImagePull"
        wait = min(LONGEST_WAIT, before.wait * 2) if before is not None else FIRST_WAIT
        self._failed[key] = _BackOff(wait, self._clock.monotonic() + wait, f"{reason}: {error.message}")
        return ImageFailure(reason, error.message, 1.0)

    def _forget(self, now: float) -> None:
        for key in [key for key, failed in self._failed.items() if failed.until + FORGET < now]:
            del self._failed[key]

    async def _secrets(self, pod: core_v1.Pod, event: Event) -> list[core_v1.Secret]:
        found, missing = [], []
        for reference in pod.spec.imagePullSecrets:
            secret = await self._find(core_v1.Secret, reference.name, pod.metadata.namespace) if reference.name else None
            found.append(secret) if secret is not None else missing.append(reference.name)
        if missing:
            text = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image may not succeed."
            event(pod, "Warning", "FailedToRetrieveImagePullSecret", text)
        return found


def go_duration(seconds: float) -> str:
    """As Go prints a duration that was cut to milliseconds: 0s, 234ms, 1.5s, 1m2.034s."""
    milliseconds = math.floor(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
