"""What nobody should send: generated requests by our own OpenAPI, random bytes, random bodies, random frames.

No answer is a 5xx, nothing hangs, the server lives, and its memory does not grow with the nonsense.
"""

import asyncio
import base64
import contextlib
import json
import os
import random
import re
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.conftest import Cluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
CM = "/api/v1/namespaces/default/configmaps"
#: Growth of the server's resident memory that is not the fault of what was sent, in bytes.
GROWTH = 80 << 20


class Target:
    """The server, and the administrator's credentials as files."""

    def __init__(self, cluster, folder):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        self.host, self.port = re.match(r"https://(.*):(\d+)", self.server).groups()
        user = config["users"][0]["user"]
        self.crt, self.key = folder / "crt", folder / "key"
        self.crt.write_bytes(base64.b64decode(user["client-certificate-data"]))
        self.key.write_bytes(base64.b64decode(user["client-key-data"]))
        self.tls = ssl.create_default_context(
            cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        )
        self.tls.load_cert_chain(self.crt, self.key)
        self.cluster = cluster

    def metrics(self):
        return self.cluster.kubectl("get", "--raw", "/metrics").stdout

    def memory(self):
        return float(re.search(r"process_resident_memory_bytes ([\d.e+]+)", self.metrics())[1])

    def faults(self):
        """Requests that were answered with a 5xx which is a fault (503 and 504 tell of others)."""
        return re.findall(r'apiserver_request_total\{code="50[0-2]".*', self.metrics())


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A cluster of its own: what is made here is nonsense."""
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    found = Cluster(tmp_path_factory.mktemp("fuzz"))
    found.bareboat("up", "--name", "fuzz", "--port", "0")
    yield found
    found.bareboat("down", "--purge")


@pytest.fixture
async def target(victim, tmp_path):
    found = Target(victim, tmp_path)
    before = found.memory()
    yield found
    assert found.faults() == []
    assert found.memory() - before < GROWTH
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("document", ["apis/apps/v1", "apis/batch/v1", "apis/policy/v1"])
def test_generated_requests_never_break_the_server(target, document, tmp_path):
    command = [
        *(str(Path(sys.executable).parent / "st"), "run", f"{target.server}/openapi/v3/{document}", "--url", target.server),
        *("--request-cert", str(target.crt), "--request-cert-key", str(target.key), "--tls-verify", "false", "--request-timeout", "10"),
        *("--max-examples", "3", "--checks", "not_a_server_error", "--phases", "fuzzing", "--seed", "1", "--generation-database", "none"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path)
    assert "FAILURES" not in done.stdout, done.stdout[-3000:]
    assert re.search(r"\d+ generated, \d+ passed", done.stdout), done.stdout[-2000:]


async def test_random_bytes_on_the_port_are_refused_or_ignored(target):
    chance = random.Random(1)
    for number in range(60):
        reader, writer = await asyncio.open_connection(target.host, int(target.port), ssl=target.tls)
        start = b"" if number % 3 else chance.choice((b"GET ", b"POST /api/v1/pods HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"))
        writer.write(start + chance.randbytes(chance.randint(1, 4000)))
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            await writer.drain()
            writer.write_eof() if writer.can_write_eof() else None
            async with asyncio.timeout(0.5):
                await reader.read(1000)
        writer.close()
    assert target.cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"


def nonsense(chance, depth=0):
    """A random JSON value that uses the names of real fields."""
    names = [
        "metadata",
        "name",
        "labels",
        "spec",
        "data",
        "kind",
        "apiVersion",
        "containers",
        "finalizers",
        "ownerReferences",
        "",
        "\u2603",
    ]
    kind = chance.randint(0, 7 if depth < 4 else 4)
    if kind < 5:
        return chance.choice([None, True, 0, -1, 1.5, 2**63, "", "x", "\x00", "a" * 300, "2026-01-01T00:00:00Z", {}, []])
    if kind < 6:
        return [nonsense(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    return {chance.choice(names): nonsense(chance, depth + 1) for _ in range(chance.randint(0, 5))}


async def test_random_bodies_are_answered_with_a_client_s_error(target):
    chance = random.Random(2)
    media = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain"]
    patches = [f"application/{kind}" for kind in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")]
    paths = [
        CM,
        "/api/v1/namespaces/default/pods",
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/batch/v1/namespaces/default/jobs",
    ]
    async with aiohttp.ClientSession() as session:
        for _ in range(800):
            method, path = chance.choice(("POST", "PUT", "PATCH", "DELETE")), chance.choice(paths)
            if method != "POST":
                path += "/fuzz"
            body = json.dumps(nonsense(chance)).encode() if chance.random() < 0.8 else chance.randbytes(chance.randint(0, 200))
            query = "?dryRun=All&fieldManager=fuzz&fieldValidation=" + chance.choice(("Strict", "Warn", "Ignore", "x"))
            headers = {"content-type": chance.choice(patches if method == "PATCH" else media)}
            async with session.request(method, target.server + path + query, data=body, headers=headers, ssl=target.tls) as answer:
                said = await answer.text()
                assert answer.status < 500 or "failed to create typed patch object" in said, (method, path, headers, body, said)


@pytest.mark.parametrize("depth", [500, 100_000])
async def test_deep_bodies_do_not_end_the_server(target, depth):
    async with aiohttp.ClientSession() as session:
        for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            headers = {"content-type": "application/json"}
            async with session.post(target.server + CM, data=body, headers=headers, ssl=target.tls) as answer:
                assert answer.status in (400, 422)


async def test_random_frames_end_the_stream_and_nothing_else(target):
    chance = random.Random(3)
    spec = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "host", "command": ["sleep", "1000"]}]}
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fuzz"}, "spec": spec}
    target.cluster.kubectl("apply", "-f", "-", input=json.dumps(tree))
    target.cluster.kubectl("wait", "pod/fuzz", "--for=condition=Ready", "--timeout=60s")
    pod = f"{target.server}/api/v1/namespaces/default/pods/fuzz"
    commands = [
        (f"{pod}/exec?container=c&command=cat&stdin=1&stdout=1&tty=1", "v5.channel.k8s.io"),
        (f"{pod}/exec?container=c&command=cat&stdin=1&stdout=1", "v4.base64.channel.k8s.io"),
        (f"{pod}/portforward?ports=9", "v4.channel.k8s.io"),
        (f"{pod}/portforward", "SPDY/3.1+portforward.k8s.io"),
    ]
    async with aiohttp.ClientSession() as session:
        for number in range(40):
            url, protocol = commands[number % len(commands)]
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                async with session.ws_connect(url, protocols=(protocol,), ssl=target.tls) as socket, asyncio.timeout(2):
                    for _ in range(10):
                        await socket.send_bytes(chance.randbytes(chance.randint(0, 300)))
                    await socket.close()
    done = target.cluster.kubectl("exec", "fuzz", "--", "echo", "alive")
    assert done.stdout == "alive\n"
    target.cluster.kubectl("delete", "pod", "fuzz", "--grace-period=0", "--force")
