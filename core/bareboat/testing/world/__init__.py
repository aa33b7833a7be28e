"""A whole control plane in memory, for tests of whatever speaks the Kubernetes API: ``World``, and on a thread of its own ``LiveWorld``."""

from bareboat.testing.world.faults import Faults
from bareboat.testing.world.live import LiveWorld
from bareboat.testing.world.things import Selection, Thing
from bareboat.testing.world.world import World

__all__ = ["Faults", "LiveWorld", "Selection", "Thing", "World"]
