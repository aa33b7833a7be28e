"""The kernel's own scores with upstream's weights: taints, node affinity, spread, other pods, images. Policies add to them.

What comes in: a pod and the nodes that fit. What goes out: sums; only the entries of nodes that fit mean anything.
"""

from __future__ import annotations

import numpy as np

from bareboat.contracts.scheduling import BoolArray, FloatArray
from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.filters import Asking

TAINT_WEIGHT, AFFINITY_WEIGHT, SPREAD_WEIGHT, INTER_POD_WEIGHT, IMAGE_WEIGHT = 3, 2, 2, 2, 1
#: An image smaller than this is as good as none; per container more than that is no better, in bytes.
SMALL_IMAGE, LARGE_IMAGE = 23 * 2**20, 1000 * 2**20


def own_scores(asking: Asking, columns: Columns, fits: BoolArray) -> FloatArray:
    total = np.zeros(len(fits))
    static = asking.static
    if static.shunned is not None and (worst := static.shunned[fits].max()) > 0:
        total += TAINT_WEIGHT * (100.0 - static.shunned * (100.0 / worst))
    if static.wanted is not None and (most := static.wanted[fits].max()) > 0:
        total += AFFINITY_WEIGHT * static.wanted * (100.0 / most)
    for weight, score in ((SPREAD_WEIGHT, asking.spread.score(fits)), (INTER_POD_WEIGHT, asking.interpod.score(fits))):
        if score is not None:
            total += weight * score
    if columns.images:
        total += IMAGE_WEIGHT * image_locality(asking.pod, columns)
    return total


def image_locality(pod: core_v1.Pod, columns: Columns) -> FloatArray:
    """How much of the pod's images is there; an image that few nodes have counts less, or all pods would go to those."""
    containers = [*pod.spec.initContainers, *pod.spec.containers]
    total = np.zeros(len(columns))
    for container in containers:
        held = columns.images.get(with_tag(container.image))
        if held:
            share = len(held) / len(columns)
            for name, size in held.items():
                total[columns.index[name]] += size * share
    most = LARGE_IMAGE * len(containers)
    scaled: FloatArray = 100.0 * (np.clip(total, SMALL_IMAGE, most) - SMALL_IMAGE) / (most - SMALL_IMAGE)
    return scaled


def with_tag(image: str) -> str:
    """Without tag or digest it is the latest."""
    return image if ":" in image.rsplit("/", 1)[-1] else f"{image}:latest"
