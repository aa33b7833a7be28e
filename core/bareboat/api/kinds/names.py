"""Names that are parts of paths."""

from __future__ import annotations


def path_segment(name: str) -> list[str]:
    """What fits between two slashes of a URL."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]
