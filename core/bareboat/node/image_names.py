"""Image names: what people leave out of them filled in, so that two spellings of one image are equal. Pure.

What comes in: ``busybox``, ``registry.example:5000/app@sha256:…``. What goes out: ``docker.io/library/busybox:latest`` and the like. Not
here: whether such an image exists.
"""

from __future__ import annotations

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/"
_NAME = re.compile(
    rf"((?:{_DOMAIN})?{_COMPONENT}(?:/{_COMPONENT})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@([a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{{32,}}))?"
)
HUB = "docker.io"


def repository(image: str) -> str:
    """With its registry, without tag and digest; "" if it is no image name."""
    match = _NAME.fullmatch(image)
    if match is None:
        return ""
    head, slash, rest = match[1].partition("/")
    if not slash or not (set(".:[") & set(head) or head == "localhost" or head != head.lower()):
        head, rest = HUB, match[1]
    if head in (HUB, f"index.{HUB}"):
        return f"{HUB}/{rest}" if "/" in rest else f"{HUB}/library/{rest}"
    return f"{head}/{rest}"


def full(image: str) -> str:
    """With registry, and tag or digest; an id or anything that is no name stays as it is."""
    match = _NAME.fullmatch(image)
    if match is None or image.startswith("sha256:"):
        return image
    if match[3]:
        return f"{repository(image)}@{match[3]}"
    return f"{repository(image)}:{match[2] or 'latest'}"


def is_valid(image: str) -> bool:
    return _NAME.fullmatch(image) is not None
