"""A backup into a store: checked as a whole first, revisions moved past every old one, all or nothing.

What comes in: a backup file and the cluster that is to have its objects. What goes out: the store's new revisions. Every client
that knows the old ones is told 410 and lists again; a write that is based on an old one is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from bareboat.base.clock import SystemClock
from bareboat.base.ids import SystemIds
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.layout import Layout
from bareboat.cluster.storage import owner, prepare
from bareboat.contracts.store import Maintained, Row, Store
from bareboat.plugins.loader import LoadedDriver
from bareboat.store.backup import Backup, chunks, moved
from bareboat.store.sealed import seals_of
from bareboat.store.verifying import Progress

#: Revisions that are left out, for what the old cluster may have written after the backup.
BUMP = 1_000_000_000


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    objects: int
    head: int
    compacted: int


async def restore(
    backup: Backup, cluster: ClusterFile, layout: Layout, driver: LoadedDriver, progress: Progress, *, force: bool, bump: int = BUMP
) -> Restored:
    """Raises ClusterError and DriverError; the store is then as it was."""
    owner(cluster, layout, SystemIds())
    store, host = prepare(cluster, layout, driver, SystemClock())
    if not isinstance(store, Maintained):
        raise ClusterError(f"store {driver.plugin.name} cannot be restored into: its driver does not offer it")
    try:
        await store.open()
        await _refuse_occupied(store, layout, force)
        for row in backup.rows():  # to its end, so that nothing is replaced by half a backup or by what no key opens
            seals_of(store).opened([row])
        base = max(backup.header.head, await store.head()) + bump
        await store.restore(base, _batches(backup, base, progress))
        return Restored(objects=backup.header.objects, head=await store.head(), compacted=await store.compacted())
    finally:
        await store.close()
        host.close()


async def _batches(backup: Backup, base: int, progress: Progress) -> AsyncIterator[Sequence[Row]]:
    for batch in chunks(moved(backup.rows(), base), lambda done: progress(done, backup.header.objects)):
        yield batch


async def _refuse_occupied(store: Store, layout: Layout, force: bool) -> None:
    head = await store.head()
    if head and not force:
        raise ClusterError(f"the store of {layout.data_dir} is not empty (revision {head}): --force replaces all that is in it")
