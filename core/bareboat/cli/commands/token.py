"""``bareboat token create|list|delete``: the bootstrap tokens with which machines join."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table

if TYPE_CHECKING:
    from bareboat.client.client import Client
    from bareboat.cluster.layout import Layout

VERBS = {"create": "make a token", "list": "show the tokens, without their secret halves", "delete": "delete tokens"}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if name == "create":
            verb.add_argument("token", nargs="?", default="", metavar="TOKEN", help="the token (default: a random one)")
            verb.add_argument("--ttl", default="24h", metavar="TIME", help="how long it is good, such as 30m, 24h, 7d; 0 for ever")
            verb.add_argument("--group", action="append", metavar="GROUP", help="system:bootstrappers:…, instead of the one that may join")
            verb.add_argument("--description", default="", metavar="TEXT", help="what it is for")
            verb.add_argument("--print-join-command", action="store_true", help="print the whole `bareboat join` line")
        if name == "delete":
            verb.add_argument("token", nargs="+", metavar="ID", help="id or whole token; may be repeated")
        add_cluster_options(verb)
        verb.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    from bareboat.cluster.errors import ClusterError
    from bareboat.cluster.nodes import Administrator
    from bareboat.models.status import ApiError

    _, _, layout = cluster_of(arguments)
    async with Administrator(layout) as client:
        try:
            await _VERBS[arguments.verb](client, layout, arguments)
        except ApiError as error:
            raise ClusterError(str(error)) from error
    return 0


async def _create(client: Client, layout: Layout, arguments: argparse.Namespace) -> None:
    from bareboat.base.clock import SystemClock
    from bareboat.cluster.joining import tokens
    from bareboat.cluster.joining.init import join_line
    from bareboat.cluster.pki.authority import pin

    token = arguments.token or tokens.new_token()
    made = tokens.secret_of(token, SystemClock(), ttl=arguments.ttl, groups=arguments.group, description=arguments.description)
    await tokens.create(client, made)
    endpoint = (layout.server / "advertised").read_text().strip().removeprefix("https://")
    line = join_line(endpoint, token, pin((layout.pki / "ca.crt").read_bytes()))
    if arguments.output == "json":
        print_json({"token": token, "join": line})
    else:
        print(line if arguments.print_join_command else token)


async def _list(client: Client, layout: Layout, arguments: argparse.Namespace) -> None:
    from bareboat.cluster.joining import tokens

    del layout
    rows = await tokens.listed(client)
    if arguments.output == "json":
        print_json(rows)
        return
    headers = ("ID", "EXPIRES", "USAGES", "GROUPS", "DESCRIPTION")
    table(headers, [(r.token, r.expires or "never", ",".join(r.usages), ",".join(r.groups), r.description) for r in rows])


async def _delete(client: Client, layout: Layout, arguments: argparse.Namespace) -> None:
    from bareboat.cluster.joining import tokens

    del layout
    for name in arguments.token:
        await tokens.delete(client, name)
        print(f"token {name.partition('.')[0]} deleted")


_VERBS = {"create": _create, "list": _list, "delete": _delete}
