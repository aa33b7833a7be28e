"""The entry point: contributes the authorizers ``rbac`` and ``node``, the check against escalation, and the bootstrap objects."""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Authorizer, Reader
from bareboat.contracts.hooks import hookimpl

_OF_NODES = "system:node"


@hookimpl
def bareboat_authorizers(reader: Reader) -> list[Authorizer]:
    from bareboat.models import rbac_v1
    from bareboat_authz_rbac.node import NodeAuthorizer
    from bareboat_authz_rbac.rbac import RbacAuthorizer

    [role] = [tree for tree in _objects("bootstrap.jsonl") if (tree["kind"], tree["metadata"]["name"]) == ("ClusterRole", _OF_NODES)]
    return [RbacAuthorizer(reader), NodeAuthorizer(reader, msgspec.convert(role["rules"], list[rbac_v1.PolicyRule]))]


@hookimpl
def bareboat_admission(reader: Reader, host: AdmissionHost) -> list[AdmissionPlugin]:
    from bareboat_authz_rbac.escalation import EscalationCheck

    return [EscalationCheck(reader, host)]


@hookimpl
def bareboat_bootstrap_objects() -> list[dict[str, Any]]:
    """Upstream's, and what this kernel's controllers and agents need beyond them."""
    return [*_objects("bootstrap.jsonl"), *_objects("own.jsonl")]


def _objects(name: str) -> list[dict[str, Any]]:
    lines = resources.files("bareboat_authz_rbac").joinpath(name).read_bytes().splitlines()
    return [msgspec.json.decode(line) for line in lines]
