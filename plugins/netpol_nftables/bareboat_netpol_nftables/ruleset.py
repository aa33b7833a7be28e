"""From the wanted state to nftables text. Pure functions; the same state gives the same text.

    forward   replies pass; the sender's chain (out-…), then the receiver's (in-…)
    input     what a pod sends to its own node: the sender's chain, then the same with what it asked for before translation (to-…)
    out-…     return on a rule that matches, else drop
    s-…       addresses that rules share

A chain *returns* when it lets a packet through, so that the receiver is asked after the sender.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from bareboat.contracts.netpolicy import Block, IsolatedPod, PolicyState, PortRange, Rule


def ruleset(table: str, state: PolicyState | None) -> str:
    """One transaction that replaces the table; without pods to isolate there is none left."""
    head = [f"table ip {table} {{}}", f"delete table ip {table}"]
    if state is None or not state.pods:
        return "\n".join([*head, ""])
    body = [line for found in state.sets for line in _set(found.name, found.addresses)]
    for pod in state.pods:
        body += _chains(pod)
    senders = [p for p in state.pods if p.egress is not None]
    receivers = [p for p in state.pods if p.ingress is not None]
    forward = ["type filter hook forward priority -1; policy accept;", "ct state established,related accept"]
    forward += _dispatch("saddr", [(p.address, f"out-{_id(p)}") for p in senders])
    forward += _dispatch("daddr", [(p.address, f"in-{_id(p)}") for p in receivers])
    arriving = ["type filter hook input priority -1; policy accept;", "ct state established,related accept"]
    arriving += _dispatch("saddr", [(p.address, f"to-{_id(p)}") for p in senders])
    body += [*_chain("forward", forward), *_chain("input", arriving)]
    return "\n".join([*head, f"table ip {table} {{", *body, "}", ""])


def _id(pod: IsolatedPod) -> str:
    return hashlib.sha256(pod.address.encode()).hexdigest()[:16]


def _set(name: str, addresses: Sequence[str]) -> list[str]:
    elements = f" elements = {{ {', '.join(addresses)} }};" if addresses else ""
    return [f"  set s-{name} {{ type ipv4_addr;{elements} }}"]


def _chain(name: str, lines: Sequence[str]) -> list[str]:
    return [f"  chain {name} {{", *(f"    {line}" for line in lines), "  }"]


def _dispatch(side: str, targets: Sequence[tuple[str, str]]) -> list[str]:
    if not targets:
        return []
    return [f"ip {side} vmap {{ {', '.join(f'{address} : jump {chain}' for address, chain in targets)} }}"]


def _chains(pod: IsolatedPod) -> list[str]:
    lines: list[str] = []
    if pod.ingress is not None:
        itself = f"ip saddr {pod.address} return"
        lines += _chain(f"in-{_id(pod)}", [itself, *_returns(pod.ingress, "ip saddr", "th dport"), "drop"])
    if pod.egress is not None:
        itself = f"ip daddr {pod.address} return"
        real = list(_returns(pod.egress, "ip daddr", "th dport"))
        asked = [f"ct status dnat {line}" for line in _returns(pod.egress, "ct original ip daddr", "ct original proto-dst")]
        lines += _chain(f"out-{_id(pod)}", [itself, *real, "drop"])
        lines += _chain(f"to-{_id(pod)}", [*real, *asked, "drop"])
    return lines


def _returns(rules: Sequence[Rule], address: str, port: str) -> Iterator[str]:
    for rule in rules:
        for peer in _peers(rule, address):
            for ports in _ports(rule.ports, port):
                yield " ".join(filter(None, (peer, ports, "return")))


def _peers(rule: Rule, address: str) -> list[str]:
    if rule.anyone:
        return [""]
    return [f"{address} @s-{name}" for name in rule.sets] + [_block(block, address) for block in rule.blocks]


def _block(block: Block, address: str) -> str:
    match = "" if block.cidr.endswith("/0") else f"{address} {block.cidr}"
    excepted = f"{address} != {{ {', '.join(sorted(set(block.excepted)))} }}" if block.excepted else ""
    return " ".join(filter(None, (match, excepted)))


def _ports(ports: Sequence[PortRange], port: str) -> list[str]:
    """One match per port: ranges may overlap, and elements of a set may not."""
    return [_port(found, port) for found in dict.fromkeys(ports)] or [""]


def _port(found: PortRange, port: str) -> str:
    protocol = f"meta l4proto {found.protocol.lower()}"
    if not found.first:
        return protocol
    number = f"{found.first}-{found.last}" if found.last != found.first else str(found.first)
    return f"{protocol} {port} {number}"
