"""The node's nftables rules for masquerade and hostPorts: one table of our own, replaced in one transaction. Text only."""

from __future__ import annotations

from collections.abc import Iterable

from bareboat.contracts.cni import NetworkConfig
from bareboat.contracts.cri import PortMapping

#: Set on connections that must be masqueraded: they come back to the pod that opened them, or from an address that no pod could answer.
HAIRPIN_MARK = "0x8000"


def table_name(instance: str) -> str:
    return f"bareboat-{instance}-cni"


def ruleset(table: str, config: NetworkConfig, ports: Iterable[tuple[str, PortMapping]], *, masquerade: bool) -> str:
    """The whole table. ``ports`` are (pod address, mapping)."""
    forwards = [line for address, port in ports for line in _forward(address, port)]
    hide = f"ip saddr {config.pod_cidr} ip daddr != {{ {config.cluster_cidr}, {config.service_cidr}, 224.0.0.0/4 }} masquerade"
    return "\n".join(
        [
            f"table ip {table} {{}}",
            f"delete table ip {table}",
            f"table ip {table} {{",
            "  chain hostports {",
            *(f"    {line}" for line in forwards),
            "  }",
            "  chain prerouting { type nat hook prerouting priority -90; policy accept; fib daddr type local jump hostports; }",
            "  chain output { type nat hook output priority -90; policy accept; fib daddr type local jump hostports; }",
            # Replies to the loopback address are routed through the bridge (route_localnet); nobody else may reach it that way.
            "  chain loopback {",
            "    type filter hook prerouting priority -150; policy accept;",
            '    iifname != "lo" ip daddr 127.0.0.0/8 ct state new drop',
            "  }",
            "  chain postrouting {",
            "    type nat hook postrouting priority 100; policy accept;",
            f"    meta mark & {HAIRPIN_MARK} == {HAIRPIN_MARK} masquerade",
            *([f"    {hide}"] if masquerade else []),
            "  }",
            "}",
            "",
        ]
    )


def _forward(address: str, port: PortMapping) -> list[str]:
    protocol = port.protocol.lower()
    target = f"ip daddr {port.host_ip} " if port.host_ip not in ("", "0.0.0.0") else ""  # noqa: S104
    match = f"{target}{protocol} dport {port.host_port}"
    return [
        f"ip saddr {{ {address}, 127.0.0.0/8 }} {match} meta mark set meta mark or {HAIRPIN_MARK}",
        f"{match} dnat to {address}:{port.container_port}",
    ]
