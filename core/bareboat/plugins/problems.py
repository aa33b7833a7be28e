"""What can be wrong with a plugin, collected so that all of it is reported at once."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``plugin`` as named in the cluster file, ``where`` the path and line there ("" if not from a file), ``message`` with the remedy."""

    plugin: str
    group: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.plugin} ({self.group}): {self.message}"


class PluginErrors(Exception):
    """One or more enabled plugins cannot be used; nothing was started. ``problems`` has all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
