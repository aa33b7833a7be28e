"""Making the certificates of a server's data directory anew, whatever their dates. The CA stays: who trusts it is everywhere."""

from __future__ import annotations

from bareboat.base.clock import Clock
from bareboat.client import kubeconfig
from bareboat.cluster import identities
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.layout import Layout
from bareboat.cluster.pki.authority import Authority, Pair


def renew(layout: Layout, clock: Clock) -> list[str]:
    """Names of what was renewed. A running server and its agents take them up. Raises ClusterError where there is no CA key."""
    pki_dir = layout.data_dir / "server" / "pki"
    if not (pki_dir / "ca.key").exists():
        raise ClusterError(f"no CA key in {pki_dir}: only the server's machine can renew; a joined node asks for its own by itself")
    pki = Authority(pki_dir, clock)
    renewed = []
    for path in sorted(pki_dir.glob("*.crt")):
        if path != pki.pair.certificate and path.with_suffix(".key").exists():
            pki.reissue(Pair(path, path.with_suffix(".key")))
            renewed.append(path.stem)
    if layout.kubeconfig.exists():
        server = kubeconfig.credentials(layout.kubeconfig)[2]
        identities.write(layout, pki, server, kubeconfig.cluster_name(layout.kubeconfig))
    return renewed
