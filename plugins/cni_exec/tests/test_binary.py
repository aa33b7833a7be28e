"""`bareboat-cni` as a runtime calls it: environment and stdin in, JSON out; what is wrong is told with the specification's codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bareboat.testing.network_lab import Space

BINARY = Path(sys.executable).parent / "bareboat-cni"
CONFIG = {"cniVersion": "1.0.0", "name": "lab", "type": "bareboat-cni", "driver": "bridge", "podCIDR": "10.230.7.0/24"}


class Tool:
    """Speaks the protocol as cnitool does."""

    def __init__(self, state):
        self.state = state

    def call(self, verb, config=None, **about):
        environment = {"CNI_COMMAND": verb, "CNI_PATH": str(BINARY.parent), "BAREBOAT_CNI_STATE": str(self.state)}
        environment |= {f"CNI_{word}": value for word, value in about.items()} | {"PATH": os.environ["PATH"]}
        text = json.dumps(CONFIG if config is None else config)
        done = subprocess.run([BINARY], input=text, env=environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path / "cni")


def test_it_names_the_versions_that_it_speaks(tool):
    code, answer = tool.call("VERSION")
    assert code == 0
    assert answer["supportedVersions"] == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]


POD = {"CONTAINERID": "a", "NETNS": "/run/netns/no-such", "IFNAME": "eth0"}


@pytest.mark.parametrize(
    ("verb", "change", "about", "code"),
    [
        ("ADD", {"cniVersion": "0.2.0"}, POD, 1),
        ("ADD", {}, POD, 3),
        ("ADD", {}, {"CONTAINERID": "a"}, 4),
        ("JUMP", {}, {}, 4),
        ("ADD", {"driver": "none-such"}, POD, 7),
        ("ADD", {"options": {"colour": 1}}, POD, 7),
        ("ADD", {"name": "../lab"}, POD, 7),
        ("STATUS", {"podCIDR": ""}, {}, 7),
    ],
)
def test_what_is_wrong_has_its_code(tool, verb, change, about, code):
    ended, answer = tool.call(verb, CONFIG | change, **about)
    assert (ended, answer["code"]) == (1, code)
    assert answer["msg"]


def test_what_is_no_json_has_its_code(tool, tmp_path):
    done = subprocess.run([BINARY], input="{", env={"CNI_COMMAND": "ADD"}, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 6)


def test_the_network_that_gives_nothing_claims_an_address(tool):
    about = {"CONTAINERID": "a", "NETNS": "/proc/self/ns/net", "IFNAME": "eth0"}
    code, answer = tool.call("ADD", CONFIG | {"driver": "none"}, **about)
    assert (code, answer["ips"][0]["address"]) == (0, "169.254.0.1/32")
    assert tool.call("DEL", CONFIG | {"driver": "none"}, **about) == (0, None)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0", "1.1.0"])
async def test_a_pod_comes_and_goes(tool, version):
    config = CONFIG | {"cniVersion": version}
    space = Space()
    about = {"CONTAINERID": "a", "NETNS": space.path, "IFNAME": "eth0"}
    try:
        code, answer = tool.call("ADD", config, **about)
        assert code == 0, answer
        address = answer["ips"][0]
        assert (answer["cniVersion"], address.get("version")) == (version, "4" if version[0] == "0" else None)
        assert answer["interfaces"][address["interface"]]["sandbox"] == space.path
        assert address["address"].split("/")[0] in space.ip("addr", "show", "eth0")
        assert tool.call("CHECK", config | {"prevResult": answer}, **about) == (0, None)
        for _ in range(2):
            assert tool.call("DEL", config, **about) == (0, None)
        assert tool.call("CHECK", config, **about)[1]["code"] == 3
    finally:
        assert tool.call("GC", config | {"cni.dev/valid-attachments": []}) == (0, None)
        space.close()
