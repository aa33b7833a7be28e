"""The entry point: contributes the authorizers ``rbac`` and ``node`` and the bootstrap objects."""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec

from bareboat.contracts.auth import Authorizer, Reader
from bareboat.contracts.hooks import hookimpl


@hookimpl
def bareboat_authorizers(reader: Reader) -> list[Authorizer]:
    from bareboat_authz_rbac.node import NodeAuthorizer
    from bareboat_authz_rbac.rbac import RbacAuthorizer

    return [RbacAuthorizer(reader), NodeAuthorizer(reader)]


@hookimpl
def bareboat_bootstrap_objects() -> list[dict[str, Any]]:
    """Upstream's, and what this kernel's controllers need beyond them (they patch where upstream's update)."""
    files = resources.files("bareboat_authz_rbac")
    lines = [line for name in ("bootstrap.jsonl", "own.jsonl") for line in files.joinpath(name).read_bytes().splitlines()]
    return [msgspec.json.decode(line) for line in lines]
