"""The entry point: a kind, a service of every node, a web application and a subcommand."""

from __future__ import annotations

import argparse
from typing import Annotated, Any

import msgspec

from bareboat.contracts.auth import Reader
from bareboat.contracts.contributions import USER, Command, HttpApp, Kind, NodeContext, NodeService
from bareboat.contracts.hooks import hookimpl
from bareboat.models import core_v1

LABEL = "fleet.example.com/harbour"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``harbour`` is where the nodes lie."""

    harbour: str = "nowhere"


class BoatSpec(msgspec.Struct):
    """What somebody wants: ``sails`` at least one, ``harbour`` where it belongs."""

    sails: Annotated[int, msgspec.Meta(ge=1)]
    harbour: str = "nowhere"


class BoatStatus(msgspec.Struct):
    """``phase`` is Moored or Afloat."""

    phase: str = ""


class Boat(msgspec.Struct):
    """A boat."""

    spec: BoatSpec
    status: BoatStatus | None = None


@hookimpl
def bareboat_kinds() -> list[Kind]:
    columns = (("Sails", "integer", ".spec.sails"), ("Phase", "string", ".status.phase"))
    return [Kind(group="fleet.example.com", version="v1", kind="Boat", plural="boats", type=Boat, columns=columns)]


class HarbourLabel(NodeService):
    """Keeps the label of its own Node; whoever removes it finds it back after a minute."""

    name = "harbour-label"

    def __init__(self, harbour: str) -> None:
        self.harbour = harbour

    async def run(self, node: NodeContext) -> None:
        while True:
            await node.client.patch(core_v1.Node, node.node_name, {"metadata": {"labels": {LABEL: self.harbour}}})
            await node.clock.sleep(60)


@hookimpl
def bareboat_node_services(options: dict[str, Any]) -> list[NodeService]:
    return [HarbourLabel(msgspec.convert(options, Options).harbour)]


class Summary:
    """GET / of the application: how many nodes lie in which harbour, and who asked."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        harbours: dict[str, int] = {}
        for node in self.reader.list(core_v1.Node):
            name = node.metadata.labels.get(LABEL, "nowhere")
            harbours[name] = harbours.get(name, 0) + 1
        body = msgspec.json.encode({"harbours": harbours, "asked_by": scope[USER].name})
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})


@hookimpl
def bareboat_http_apps(reader: Reader) -> list[HttpApp]:
    return [HttpApp(name="fleet", app=Summary(reader))]


def _harbour(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("harbour", help="where to look")


def _say(arguments: argparse.Namespace) -> int:
    print(f"boats belong into {arguments.harbour}")
    return 0


@hookimpl
def bareboat_cli() -> list[Command]:
    return [Command(name="fleet", summary="say where boats belong", add=_harbour, run=_say)]
