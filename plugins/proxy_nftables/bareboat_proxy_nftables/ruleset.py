"""From the wanted Services to nftables text. Pure functions; the same state gives the same text.

    services   map: address . protocol . port → goto svc-… (or noep)
    nodeports  map: protocol . port → goto ext-…
    svc-…      mark what must be masqueraded; keep a client with its endpoint (affinity); else a random endpoint
    ep-…       remember the client (affinity), mark a pod that reaches itself, dnat

Affinity lives in one set per endpoint whose elements time out; the sets outlive a transaction, so clients keep their
endpoint when other endpoints change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from bareboat.contracts.proxy import Backend, ProxyState, ServicePort

#: Connections with this mark are masqueraded on their way out.
MARK = "0x4000"
_SET_MARK = f"meta mark set meta mark or {MARK}"


class Rules(msgspec.Struct, frozen=True):
    """``chains`` name → rules; ``affinity`` name of a set → timeout in seconds; elements of the three maps."""

    chains: dict[str, list[str]]
    affinity: dict[str, int]
    services: list[str]
    nodeports: list[str]
    rejected: list[str]
    node_addresses: tuple[str, ...]


def build(state: ProxyState) -> Rules:
    rules = Rules({}, {}, [], [], [], tuple(sorted(state.node_addresses)))
    for service in sorted(state.services, key=lambda s: (s.name, s.protocol, s.port)):
        _cluster_side(service, state, rules)
        _external_side(service, rules)
    return rules


def _id(*parts: object) -> str:
    return hashlib.sha256("/".join(str(p) for p in parts).encode()).hexdigest()[:16]


def _cluster_side(service: ServicePort, state: ProxyState, rules: Rules) -> None:
    protocol = service.protocol.lower()
    addresses = [f"{address} . {protocol} . {service.port}" for address in service.addresses]
    if not service.backends:
        rules.rejected.extend(addresses)
        return
    chain = f"svc-{_id(service.name, protocol, service.port)}"
    mark = f"ip saddr != {state.cluster_cidr} {_SET_MARK}"
    rules.chains[chain] = [mark, *_balance(service, service.backends, rules)]
    rules.services.extend(f"{address} : goto {chain}" for address in addresses)


def _external_side(service: ServicePort, rules: Rules) -> None:
    if not service.node_port and not service.external_addresses:
        return
    protocol = service.protocol.lower()
    outside = [f"{address} . {protocol} . {service.port}" for address in service.external_addresses]
    if not service.external_backends:
        rules.rejected.extend(outside)
        return
    chain = f"ext-{_id(service.name, protocol, service.port)}"
    allowed = [f"ip saddr != {{ {', '.join(service.source_ranges)} }} drop"] if service.source_ranges else []
    mark = [] if service.preserve_source else [_SET_MARK]
    rules.chains[chain] = [*allowed, *mark, *_balance(service, service.external_backends, rules)]
    rules.services.extend(f"{address} : goto {chain}" for address in outside)
    if service.node_port:
        rules.nodeports.append(f"{protocol} . {service.node_port} : goto {chain}")


def _balance(service: ServicePort, backends: Sequence[Backend], rules: Rules) -> list[str]:
    """Sticky clients first, then one endpoint at random, all with the same chance."""
    targets = [_endpoint(service, backend, rules) for backend in sorted(backends, key=lambda b: (b.address, b.port))]
    sticky = [f"ip saddr @{_affinity_set(t)} goto {t}" for t in targets] if service.affinity_seconds else []
    if len(targets) == 1:
        return [*sticky, f"goto {targets[0]}"]
    choices = ", ".join(f"{i} : goto {target}" for i, target in enumerate(targets))
    return [*sticky, f"numgen random mod {len(targets)} vmap {{ {choices} }}"]


def _affinity_set(chain: str) -> str:
    return chain.replace("ep-", "aff-", 1)


def _endpoint(service: ServicePort, backend: Backend, rules: Rules) -> str:
    chain = f"ep-{_id(service.name, service.protocol, service.port, backend.address, backend.port)}"
    remember = []
    if service.affinity_seconds:
        name = _affinity_set(chain)
        rules.affinity[name] = service.affinity_seconds
        remember = [f"update @{name} {{ ip saddr }}"]
    rules.chains[chain] = [
        f"ip saddr {backend.address} {_SET_MARK}",
        *remember,
        f"meta l4proto {service.protocol.lower()} dnat to {backend.address}:{backend.port}",
    ]
    return chain


_BASE = """\
add map ip {t} services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
add map ip {t} nodeports {{ type inet_proto . inet_service : verdict; }}
add set ip {t} rejected {{ type ipv4_addr . inet_proto . inet_service; }}
add set ip {t} nodes {{ type ipv4_addr; }}
add chain ip {t} dispatch
add chain ip {t} refuse
add chain ip {t} prerouting {{ type nat hook prerouting priority -100; policy accept; }}
add chain ip {t} output {{ type nat hook output priority -100; policy accept; }}
add chain ip {t} postrouting {{ type nat hook postrouting priority 100; policy accept; }}
add chain ip {t} input-filter {{ type filter hook input priority 0; policy accept; }}
add chain ip {t} forward-filter {{ type filter hook forward priority 0; policy accept; }}
add chain ip {t} output-filter {{ type filter hook output priority 0; policy accept; }}
flush chain ip {t} dispatch
flush chain ip {t} refuse
flush chain ip {t} prerouting
flush chain ip {t} output
flush chain ip {t} postrouting
flush chain ip {t} input-filter
flush chain ip {t} forward-filter
flush chain ip {t} output-filter
flush map ip {t} services
flush map ip {t} nodeports
flush set ip {t} rejected
flush set ip {t} nodes
add rule ip {t} dispatch ip daddr . meta l4proto . th dport vmap @services
add rule ip {t} dispatch ip daddr @nodes meta l4proto . th dport vmap @nodeports
add rule ip {t} prerouting jump dispatch
add rule ip {t} output jump dispatch
add rule ip {t} postrouting meta mark & {mark} == {mark} masquerade
add rule ip {t} refuse ip daddr . meta l4proto . th dport @rejected reject with icmp port-unreachable
add rule ip {t} input-filter ct state new jump refuse
add rule ip {t} forward-filter ct state new jump refuse
add rule ip {t} output-filter ct state new jump refuse
"""


def transaction(table: str, rules: Rules, stale_chains: set[str], stale_sets: set[str]) -> str:
    """One nft transaction from whatever the table holds to ``rules``; what is stale is deleted last."""
    lines = [f"add table ip {table}", _BASE.format(t=table, mark=MARK).rstrip()]
    lines += [
        f"add set ip {table} {name} {{ type ipv4_addr; flags dynamic,timeout; timeout {seconds}s; size 65535; }}"
        for name, seconds in rules.affinity.items()
    ]
    for name in rules.chains:
        lines += [f"add chain ip {table} {name}", f"flush chain ip {table} {name}"]
    lines += [f"flush chain ip {table} {name}" for name in sorted(stale_chains)]
    for name, body in rules.chains.items():
        lines += [f"add rule ip {table} {name} {rule}" for rule in body]
    for kind, elements in (("services", rules.services), ("nodeports", rules.nodeports), ("rejected", rules.rejected)):
        if elements:
            lines.append(f"add element ip {table} {kind} {{ {', '.join(elements)} }}")
    if rules.node_addresses:
        lines.append(f"add element ip {table} nodes {{ {', '.join(rules.node_addresses)} }}")
    lines += [f"delete chain ip {table} {name}" for name in sorted(stale_chains)]
    lines += [f"delete set ip {table} {name}" for name in sorted(stale_sets)]
    return "\n".join(lines) + "\n"
