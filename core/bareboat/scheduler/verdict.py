"""What the filters say about every node for one pod, and why: collected rule by rule, each node blamed on the first that refuses it.

What comes in: masks and reasons. What goes out: where the pod fits, upstream's message, the nodes where evicting others cannot
help, and the kinds of change (``Hint``) after which another try may end otherwise.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from bareboat.contracts.scheduling import BoolArray

#: Kinds of change in the cluster.
NODE, POD_GONE, POD_PLACED, VOLUME = "node", "pod gone", "pod placed", "volume"
EVERYTHING = frozenset({NODE, POD_GONE, POD_PLACED, VOLUME})
ROOM = frozenset({NODE, POD_GONE})
FACTS = frozenset({NODE})
OTHER_PODS = frozenset({NODE, POD_GONE, POD_PLACED})
VOLUMES = frozenset({NODE, VOLUME, POD_GONE})


class Verdict:
    """``hopeless`` nodes refuse for what no eviction changes; ``blame`` counts nodes by reason."""

    __slots__ = ("blame", "fits", "hints", "hopeless", "prefilter", "refusals")

    def __init__(self, count: int) -> None:
        self.fits: BoolArray = np.ones(count, dtype=bool)
        self.hopeless: BoolArray = np.zeros(count, dtype=bool)
        self.blame: Counter[str] = Counter()
        self.hints: frozenset[str] = frozenset()
        #: who refused which nodes
        self.refusals: list[tuple[BoolArray, str]] = []
        #: a reason that concerns the pod as such, not single nodes
        self.prefilter = ""

    def narrow(self, mask: BoolArray, reason: str, hints: frozenset[str], *, hopeless: bool = False) -> None:
        """Only nodes in ``mask`` go on."""
        refused = self.fits & ~mask
        count = int(np.count_nonzero(refused))
        if not count:
            return
        self.blame[reason] += count
        self.refusals.append((refused, reason))
        self.hints |= hints
        if hopeless:
            self.hopeless |= refused
        self.fits &= mask

    def refuse(self, reason: str, hints: frozenset[str]) -> None:
        """The pod cannot run anywhere."""
        self.prefilter = reason
        self.hints |= hints
        self.fits[:] = False
        self.hopeless[:] = True

    def reasons_at(self, i: int) -> list[str]:
        """What refused one node that is not hopeless."""
        return [reason for refused, reason in self.refusals if refused[i]]

    def message(self, addition: str = "") -> str:
        """``0/3 nodes are available: 3 Insufficient cpu.`` and what preemption says."""
        text = self.prefilter or reasons(self.blame)
        return " ".join(part for part in (f"0/{len(self.fits)} nodes are available:", text and f"{text}.", addition) if part)


def reasons(blame: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in blame.items()))
