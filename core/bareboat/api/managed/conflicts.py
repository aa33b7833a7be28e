"""What an applier is told when others own what it names."""

from __future__ import annotations

from bareboat.api.managed.entries import Owner
from bareboat.api.managed.sets import Node, paths
from bareboat.models.status import ApiError


class Conflicts(Exception):
    """``owners``: the fields that each of them owns and the applier would change."""

    def __init__(self, owners: dict[Owner, Node]) -> None:
        super().__init__(f"conflicts with {len(owners)} managers")
        self.owners = owners

    def error(self) -> ApiError:
        found = [(str(owner), path) for owner in sorted(self.owners) for path in paths(self.owners[owner])]
        causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for who, path in found]
        return ApiError(_message(found), details={"causes": causes}, code=409, reason="Conflict")


def _message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        who, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {who}: {path}"
    parts = []
    for who in dict.fromkeys(w for w, _ in found):
        mine = "".join(f"\n- {path}" for w, path in found if w == who)
        parts.append(f"conflicts with {who}:{mine}")
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(parts)
