"""Every hook of the example at work, in a world, over HTTPS and on the command line."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from bareboat_fleet import plugin

from bareboat.cli.main import main
from bareboat.models.status import Invalid

BOAT = {"apiVersion": "fleet.example.com/v1", "kind": "Boat", "metadata": {"name": "argo"}, "spec": {"sails": 2}}


@pytest.mark.world(plugins=[plugin])
async def test_the_kind_is_served_with_its_schema(world):
    await world.apply(BOAT)
    await world.status("boat/argo", phase="Afloat")
    assert (await world.get("boats/argo")).status.phase == "Afloat"
    with pytest.raises(Invalid, match="greater than or equal to 1"):
        await world.apply({**BOAT, "spec": {"sails": 0}})
    with pytest.raises(Invalid, match="sails"):
        await world.create({**BOAT, "metadata": {"name": "raft"}, "spec": {}})


@pytest.mark.world(plugins=[plugin])
async def test_the_service_keeps_the_label_of_its_node(world):
    await world.until("node/n1 has metadata.labels")
    await world.until(lambda: _labelled(world))
    await world.label("node/n1", **{plugin.LABEL: None})
    assert not await _labelled(world)
    await world.advance(61)
    assert await _labelled(world)


async def _labelled(world):
    return (await world.get("node/n1")).metadata.labels.get(plugin.LABEL) == "nowhere"


def ask(world, path, token=""):
    context = ssl._create_unverified_context()
    if not token:
        context.load_cert_chain(world.kubeconfig.parent / "pki/admin.crt", world.kubeconfig.parent / "pki/admin.key")
    request = urllib.request.Request(world.url + path, headers={"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.world(plugins=[plugin], rbac=True)
def test_the_application_answers_those_who_may_ask(live_world):
    answer = ask(live_world, "/apps/fleet/")
    assert answer["asked_by"] == "kubernetes-admin"
    assert sum(answer["harbours"].values()) == 1
    assert ask(live_world, "/apps/fleet/", token="nobody") == 401
    assert [ask(live_world, path) for path in ("/apps/other/", "/apps/")] == [404, 404]


def test_the_subcommand_is_found(capsys, tmp_path):
    file = tmp_path / "bareboat.yaml"
    file.write_text("plugins: [{use: fleet}]\n")
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "piraeus", "--config", str(file)])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "boats belong into piraeus\n"
    with pytest.raises(SystemExit):
        main(["flet", "--config", str(file)])
    assert "invalid choice: 'flet'" in capsys.readouterr().err
