"""Writing a ClusterFile as YAML, so that what is in force can be read and kept."""

from __future__ import annotations

import msgspec
import yaml

from bareboat.cluster.file.shape import ClusterFile


def dump(cluster: ClusterFile) -> bytes:
    """YAML that ``reading.parse`` turns into an equal ClusterFile."""
    text: str = yaml.safe_dump(msgspec.to_builtins(cluster), sort_keys=False)
    return text.encode()
