"""Image references: what people write, where it is fetched from, and what it is listed as. Pure.

What comes in: ``busybox``, ``example/app:1``, ``registry.example:5000/a/b@sha256:…``. What goes out: its parts. A name without a
registry is Docker Hub's, as everywhere; it is listed in the short form in which people write it.
"""

from __future__ import annotations

import re

import msgspec

from bareboat.contracts.errors import NotFound

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/"
_REFERENCE = re.compile(
    rf"^(?:{_DOMAIN})?{_COMPONENT}(?:/{_COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?\Z"
)
HUB = "docker.io"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """``tag`` is "" only where there is a ``digest``."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Without tag and digest, in short form."""
        if self.domain != HUB:
            return f"{self.domain}/{self.path}"
        short = self.path.removeprefix("library/")
        return self.path if "/" in short or "." in short.partition("/")[0] else short

    @property
    def listed(self) -> str:
        """As images are listed and looked up: by digest where it names one, else by tag."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    @property
    def wanted(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag

    @property
    def full(self) -> str:
        """With everything that people leave out: for messages."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.domain}/{self.path}{tag}" + (f"@{self.digest}" if self.digest else "")


def checked_reference(image: str) -> str:
    if not _REFERENCE.match(image):
        message = f'couldn\'t parse image name "{image}": invalid reference format'
        raise NotFound(f"Failed to apply default image tag {image!r}: {message}", reason="InvalidImageName")
    return image


def parse(image: str) -> Reference:
    """Raises NotFound with reason InvalidImageName."""
    name, _, digest = checked_reference(image).partition("@")
    head, slash, rest = name.partition("/")
    if not slash or not (set(".:[") & set(head) or head == "localhost" or head != head.lower()):
        head, rest = HUB, name
    directory, slash, last = rest.rpartition("/")
    base, _, tag = last.partition(":")
    path = directory + slash + base
    domain = HUB if head == f"index.{HUB}" else head
    if domain == HUB and "/" not in path:
        path = f"library/{path}"
    return Reference(domain=domain, path=path, tag=tag or ("" if digest else "latest"), digest=digest)


def repository(image: str) -> str:
    """The reference as it is written, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def listed_name(image: str) -> str:
    return parse(image).listed
