"""The cluster's store, opened for its server or for ``bareboat store``: whose data directory it is, keys, driver.

What comes in: the cluster file, the layout, the chosen driver. What goes out: a store that is not open yet, its host, and
ClusterError or InvalidConfig with the remedy. Nothing of another cluster's data is touched.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bareboat.base.clock import Clock
from bareboat.base.ids import Ids
from bareboat.cluster.driver_host import DriverHost
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import ClusterFile
from bareboat.cluster.layout import Layout
from bareboat.cluster.state import write_private
from bareboat.contracts.errors import InvalidConfig
from bareboat.contracts.store import Store
from bareboat.plugins.loader import LoadedDriver
from bareboat.store import keyring
from bareboat.store.sealed import sealed


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data a directory holds: the cluster's ``name``, and an ``id`` that no other has."""

    name: str
    id: str


def owner(cluster: ClusterFile, layout: Layout, ids: Ids) -> Owner:
    """Claim the directory at the first start; refuse one of another cluster ever after. Raises ClusterError."""
    path = layout.server / "owner.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Owner)
    except FileNotFoundError:
        found = Owner(name=cluster.name, id=ids.uid())
        write_private(path, msgspec.json.encode(found))
    except (OSError, msgspec.DecodeError) as error:
        raise ClusterError(
            f"{path} cannot be read: {error}; it says whose data this is: put it back, or give another --data-dir"
        ) from error
    if found.name != cluster.name:
        raise ClusterError(
            f"{layout.data_dir} holds the data of cluster {found.name!r}, not of {cluster.name!r}: "
            f"use --name {found.name}, or another --data-dir"
        )
    return found


def prepare(cluster: ClusterFile, layout: Layout, chosen: LoadedDriver, clock: Clock) -> tuple[Store, DriverHost]:
    """Raises InvalidConfig if the keys cannot be used."""
    keys = keys_of(cluster, layout)
    host = DriverHost(
        name=f"store-{chosen.plugin.name}",
        node_name="",
        instance=layout.instance(),
        state_dir=layout.server,
        clock=clock,
    )
    return sealed(chosen.cls, chosen.options, host, keys), host


def keys_of(cluster: ClusterFile, layout: Layout) -> keyring.Keyring | None:
    """None if nothing is to be sealed."""
    if cluster.encryption is None:
        return None
    if cluster.encryption.file:
        return keyring.read(Path(cluster.encryption.file).expanduser())
    path = layout.server / "encryption.yaml"
    if not path.exists():
        _generate(path, layout)
    return keyring.read(path)


def _generate(path: Path, layout: Layout) -> None:
    """Only once: a new key beside rows that an old one sealed would hide that the old one is lost."""
    once = layout.server / "encryption.made"
    if once.exists():
        raise InvalidConfig(
            f"{path} is gone; it was made here before and what it sealed cannot be read without it: put it back from your copy "
            f"(or remove {once} to go on with a new key, if nothing is sealed)",
            reason="MissingKey",
        )
    write_private(path, keyring.generate())
    write_private(once, b"")
