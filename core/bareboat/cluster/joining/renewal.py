"""A node's own certificates, made anew through a request before they end, while the agent goes on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.cluster.errors import ClusterError
from bareboat.models.status import ApiError

log = logging.getLogger("bareboat.certificates")
#: Shares of a certificate's life after which it is renewed (not all nodes at once), and seconds between looks and tries.
EARLIEST, LATEST = 0.7, 0.9
LOOK, RETRY = 600.0, 60.0


class Renewal:
    """``current`` gives the certificate in use, ``obtain`` a new (key, certificate), ``install`` puts it into use."""

    def __init__(
        self,
        name: str,
        current: Callable[[], bytes],
        obtain: Callable[[], Awaitable[tuple[bytes, bytes]]],
        install: Callable[[bytes, bytes], None],
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._name = name
        self._current = current
        self._obtain = obtain
        self._install = install
        self._clock = clock
        self._share = EARLIEST + (LATEST - EARLIEST) * ids.fraction()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            waits = self._due_in()
            if waits > 0:
                await self._clock.sleep(min(waits, LOOK))
                continue
            try:
                self._install(*await self._obtain())
                log.info("certificate %s was renewed", self._name)
            except (ApiError, ClusterError, OSError) as error:
                log.warning("certificate %s cannot be renewed yet: %s", self._name, error)
                await self._clock.sleep(RETRY)

    def _due_in(self) -> float:
        from cryptography import x509

        found = x509.load_pem_x509_certificate(self._current())
        life = found.not_valid_after_utc - found.not_valid_before_utc
        return (found.not_valid_before_utc + life * self._share - self._clock.now()).total_seconds()
