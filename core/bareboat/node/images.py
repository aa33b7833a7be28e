"""Images: pulled as the pull policy says, with a back-off after failures."""

from __future__ import annotations

from collections.abc import Callable

from bareboat.base.clock import Clock
from bareboat.contracts.cri import RuntimeDriver
from bareboat.contracts.errors import DriverError
from bareboat.models import core_v1

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0


class ImageFailure(Exception):
    """``reason`` as the container's waiting reason, ``wait`` seconds before the next try."""

    def __init__(self, reason: str, message: str, wait: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.wait = wait


class Images:
    """For one runtime."""

    failure = ImageFailure

    def __init__(self, runtime: RuntimeDriver, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._failed: dict[str, tuple[float, float]] = {}

    async def ensure(self, pod: core_v1.Pod, container: core_v1.Container, event: Callable[[core_v1.Pod, str, str, str], None]) -> str:
        """The reference to create the container with. Raises ImageFailure."""
        image, policy = container.image, container.imagePullPolicy
        if policy != "Always":
            present = next((i for i in await self._runtime.list_images() if image in i.tags or image in i.digests or image == i.id), None)
            if present is not None:
                event(pod, "Normal", "Pulled", f'Container image "{image}" already present on machine')
                return image
            if policy == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                raise ImageFailure("ErrImageNeverPull", message, FIRST_WAIT)
        now = self._clock.monotonic()
        wait, until = self._failed.get(image, (0.0, 0.0))
        if until > now:
            raise ImageFailure("ImagePullBackOff", f'Back-off pulling image "{image}"', until - now)
        try:
            reference = await self._runtime.pull_image(image)
        except DriverError as error:
            wait = min(LONGEST_WAIT, max(FIRST_WAIT, wait * 2))
            self._failed[image] = (wait, now + wait)
            reason = error.reason if error.reason in ("ErrImagePull", "InvalidImageName") else "ErrImagePull"
            raise ImageFailure(reason, f'Failed to pull image "{image}": {error.message}', 1.0) from error
        self._failed.pop(image, None)
        event(pod, "Normal", "Pulled", f'Successfully pulled image "{image}"')
        return reference
