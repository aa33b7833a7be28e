"""``bareboat certs check|renew``: the certificates of a data directory and when they end."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table, toned

if TYPE_CHECKING:
    from bareboat.cluster.pki.inventory import Standing

VERBS = {
    "check": "show every certificate and when it ends; exit code 1 if one has expired or is not of the cluster's CA",
    "renew": "make every certificate anew, but for the CA; a running server takes them up within seconds",
}
_COLOURS = {"valid": "green", "expiring": "yellow", "expired": "red", "foreign": "red"}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        add_cluster_options(verb)
        verb.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    from bareboat.base.clock import SystemClock
    from bareboat.cluster.pki.inventory import check
    from bareboat.cluster.pki.renewing import renew

    _, _, layout = cluster_of(arguments)
    clock = SystemClock()
    if arguments.verb == "renew":
        renew(layout, clock)
    found = check(layout, clock)
    if arguments.output == "json":
        print_json(found)
    else:
        headers = ("CERTIFICATE", "SUBJECT", "SIGNED BY", "EXPIRES", "DAYS", "STATE")
        table(headers, [_row(c) for c in found])
    return 1 if any(c.state in ("expired", "foreign") for c in found) else 0


def _row(found: Standing) -> tuple[str, ...]:
    name = f"{found.name} (CA)" if found.ca else found.name
    return name, found.subject, found.issuer, found.expires, str(found.days), toned(found.state, _COLOURS[found.state])
