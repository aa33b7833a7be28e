"""The benchmark's loads, for real and small: `wrk` over HTTP/1.1, `h2load` over HTTP/2 against a server that offers it.

Our own server speaks HTTP/1.1, so `nghttpx` stands before it, ends TLS there and offers h2.
"""

import asyncio
import shutil
import subprocess

import pytest
from bench import objects
from bench.__main__ import _carrying
from bench.bench import PODS, WRITES, Bench, namespaces, token_of
from bench.connection import Connection
from bench.load import NoLoad
from bench.row import Result
from bench.rows import ROWS
from bench.server import OwnServer, free_port, listening
from bench.wire import PLAIN, WIRES, offers_http2

from bareboat.models import codec, core_v1, protobuf

EVERY = pytest.mark.parametrize("wire", WIRES.values(), ids=str)
COUNT = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    missing = [tool for tool in ("wrk", "h2load", "nghttpx", "openssl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    found = OwnServer(tmp_path_factory.mktemp("bench") / "server")
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def proxied(server):
    """The URL of a proxy before it that offers h2."""
    port = free_port()
    backend = f"--backend=127.0.0.1,{server.port};;tls"
    key, certificate = (server.data / "server/pki" / f"server.{ending}" for ending in ("key", "crt"))
    quiet = ["--conf=/dev/null", "--workers=1", "--no-ocsp", "--log-level=ERROR", "--accesslog-file=/dev/null"]
    process = subprocess.Popen(["nghttpx", *quiet, "--insecure", f"--frontend=127.0.0.1,{port}", backend, key, certificate])
    try:
        listening(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def bench(server, proxied, tmp_path_factory):
    """Aimed at the proxy as at anybody's server, with few Pods in it."""
    token = asyncio.run(token_of(server))
    asyncio.run(_filled(proxied, token))
    return Bench(tmp_path_factory.mktemp("run"), 0.5, proxied, token, filled=COUNT)


async def _filled(url, token):
    await namespaces(url, token)
    async with Connection(url, token) as connection:
        for number in range(COUNT):
            await connection.request("POST", PODS, objects.body(objects.pod(f"pod-{number}", number)))


def test_http2_is_seen_where_it_is_offered(server, proxied):
    assert offers_http2(proxied)
    assert not offers_http2(server.url)


def test_a_server_without_http2_is_measured_over_http1_and_that_is_said(server, capsys):
    row = next(row for row in ROWS if row.wired)
    bench = Bench(server.data, 1, server.url, asyncio.run(token_of(server)), filled=1)
    wires = [PLAIN, WIRES["http2/protobuf"]]
    assert _carrying(row, wires, bench) == [PLAIN, WIRES["http1/protobuf"]]
    assert "offers no HTTP/2" in capsys.readouterr().err
    assert _carrying(row, wires, bench) == [PLAIN, WIRES["http1/protobuf"]]
    assert not capsys.readouterr().err, "it is said once"


@EVERY
def test_an_object_is_created_by_each_request(bench, wire):
    bench.wire = wire
    before = len(bench.call("GET", f"{WRITES}/configmaps")["items"])
    measured = bench.load(f"{WRITES}/configmaps", 2, method="POST", tree=objects.config_map(""))
    made = bench.call("GET", f"{WRITES}/configmaps")["items"][before:]
    assert measured.value > 0
    assert made
    assert {item["data"]["key-0"] for item in made if "key-0" in item["data"]} == {"value " * 8}


@EVERY
def test_pods_are_created_read_and_listed(bench, wire):
    bench.wire = wire
    tree = objects.pod("", 1)
    tree["metadata"]["namespace"] = "bench-writes"
    assert bench.load(f"{WRITES}/pods", 2, method="POST", tree=tree).value > 0
    assert bench.load(f"{PODS}/pod-@NUMBER@", 2, cycle=COUNT - 1).value > 0
    assert bench.load(f"{PODS}?labelSelector=group%3Dg7", 2).value > 0


@EVERY
def test_each_change_is_of_another_pod(bench, wire):
    bench.wire = wire
    row = next(row for row in ROWS if row.name == "patch-merge")
    path, options = f"{PODS}/pod-@NUMBER@", row.measure.keywords
    before = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in bench.call("GET", PODS)["items"]}
    bench.load(path, 4, method="PATCH", body=options["body"], content_type=options["content_type"], cycle=COUNT)
    after = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in bench.call("GET", PODS)["items"]}
    assert all(after[name] != before[name] for name in before)


@EVERY
def test_a_refused_request_ends_the_run(bench, wire):
    bench.wire = wire
    with pytest.raises(NoLoad, match="404"):
        bench.load(f"{PODS}/nobody", 1)


def test_results_over_other_wires_are_named_so_and_not_held_against_goals(bench):
    row = next(row for row in ROWS if row.wired)
    plain, other = (Result(row, None, 1.0, "", wire) for wire in (PLAIN, WIRES["http2/protobuf"]))
    assert plain.name == row.name
    assert other.name == f"{row.name} http2/protobuf"
    assert not other.judged


def test_a_pod_is_the_same_in_protobuf():
    tree = objects.pod("p", 3)
    assert protobuf.decode(WIRES["http2/protobuf"].body(tree))[2] == codec.decode(core_v1.Pod, WIRES["http2/json"].body(tree))
