"""The client certificates and kubeconfigs of the control plane: administrator, controllers, scheduler, and the server's own.

Each may do what it needs: only the administrator is of ``system:masters``. Files are 0600.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bareboat.client import kubeconfig
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import Authority, Pair

#: file in the PKI directory, kubeconfig below the server's directory → user
PARTS = {"controller-manager": "system:kube-controller-manager", "scheduler": "system:kube-scheduler"}


class Issued(msgspec.Struct, frozen=True):
    """A kubeconfig to write: for whom, where, with which certificate."""

    path: Path
    user: str
    pair: Pair


def administrator(pki: Authority) -> Pair:
    return pki.client("admin", "kubernetes-admin", ("system:masters",))


def kubelet_client(pki: Authority) -> Pair:
    """With which the server comes to agents: they know it by its name, and the API gives it nothing."""
    return pki.client("kubelet-client", "kube-apiserver-kubelet-client")


def issued(layout: Layout, pki: Authority) -> Iterator[Issued]:
    yield Issued(layout.kubeconfig, "admin", administrator(pki))
    for name, user in PARTS.items():
        yield Issued(layout.server / f"{name}.kubeconfig", name, pki.client(name, user))


def write(layout: Layout, pki: Authority, server: str, cluster: str) -> None:
    """Every kubeconfig of the control plane."""
    for one in issued(layout, pki):
        kubeconfig.write(
            one.path,
            server=server,
            ca=pki.certificate_pem,
            certificate=one.pair.certificate_pem,
            key=one.pair.key_pem,
            cluster=cluster,
            user=one.user,
        )
