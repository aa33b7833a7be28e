"""Why a volume is not there."""

from __future__ import annotations


class MountFailed(Exception):
    """A volume cannot be provided now: reason FailedMount."""


class NotYet(MountFailed):
    """Somebody else is at work on it, which is no fault: no Event."""
