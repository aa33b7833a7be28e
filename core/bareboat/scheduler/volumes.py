"""Where a pod may run by its volumes. (Rules come with ``Volumes``; a pod without volumes has ``NoVolumes``.)"""

from __future__ import annotations

from bareboat.models import core_v1
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.verdict import Verdict


class NoVolumes:
    """Nothing to ask."""

    def required(self) -> bool:
        return False

    def narrow(self, verdict: Verdict) -> None:
        del verdict


class PodVolumes(NoVolumes):
    """The volumes of one pod."""


class Volumes:
    """What is known of claims, volumes and classes."""

    def of(self, pod: core_v1.Pod, columns: Columns) -> PodVolumes:
        del pod, columns
        return PodVolumes()
