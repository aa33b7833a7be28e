"""Drivers at work: each on a thread and event loop of its own, so that none can take the agent or another driver down.

``guarded(cls, label, make)`` gives what the kernel calls: a driver of the same contract whose verbs go to the real one and come back as
the contract says, whatever the real one does.
"""

from bareboat.plugins.running.guard import guarded

__all__ = ["guarded"]
