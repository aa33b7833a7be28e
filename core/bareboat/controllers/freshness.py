"""What a controller wrote and its informer has not shown yet: deciding on the older object would repeat what is done."""

from __future__ import annotations

from typing import Any

from bareboat.models.meta import key


class Written:
    """The newest resourceVersion that was written, per object."""

    def __init__(self) -> None:
        self._revisions: dict[str, tuple[str, int]] = {}

    def note(self, obj: Any) -> None:
        text = obj.metadata.resourceVersion
        if text.isdigit():
            self._revisions[key(obj)] = (obj.metadata.uid, int(text))

    def stale(self, obj: Any) -> bool:
        """Whether ``obj`` is older than what was written; an object of the same name made anew is not."""
        uid, revision = self._revisions.get(key(obj), ("", 0))
        text = obj.metadata.resourceVersion
        return uid == obj.metadata.uid and text.isdigit() and int(text) < revision

    def forget(self, name: str) -> None:
        self._revisions.pop(name, None)
