"""Streams to pods with the real kubectl, over WebSocket and over SPDY, and with plain WebSocket clients in the older dialects."""

import asyncio
import base64
import hashlib
import json
import os
import re
import ssl
import subprocess
import urllib.request

import aiohttp
import pytest
import yaml

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
SERVER = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        said = f"{self.command} {self.path} {self.rfile.read(length).decode()}".encode()
        self.send_response(200); self.send_header("content-length", str(len(said))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(said)
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = answer
    def log_message(self, *a): pass
print("first line", flush=True); print("second line", flush=True)
http.server.ThreadingHTTPServer(("", 8080), Hello).serve_forever()
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "streams", "labels": {"app": "streams"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "web",
                "image": "host",
                "command": ["python3", "-c", SERVER],
                "ports": [{"containerPort": 8080, "name": "http"}],
                "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
            }
        ],
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "streams"},
    "spec": {"selector": {"app": "streams"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]},
}


@pytest.fixture(scope="module")
def pod(cluster):
    for tree in (POD, SERVICE):
        cluster.kubectl("apply", "-f", "-", input=json.dumps(tree))
    cluster.kubectl("wait", "pod/streams", "--for=condition=Ready", "--timeout=60s")
    yield "streams"
    cluster.kubectl("delete", "pod/streams", "service/streams")


@pytest.fixture(params=["websocket", "spdy"])
def kubectl(request, cluster, pod):
    """kubectl that speaks one of the two; its environment."""
    on = "true" if request.param == "websocket" else "false"
    return {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "HOME": str(cluster.data_dir),
        "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": on,
        "KUBECTL_PORT_FORWARD_WEBSOCKETS": on,
    }


def run(environment, *words, **options):
    return subprocess.run(["kubectl", *words], env=environment, capture_output=True, timeout=60, check=False, **options)


def test_exec_keeps_streams_apart_and_says_the_exit_code(kubectl, pod):
    done = run(kubectl, "exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == (b"out\n", 3)
    assert done.stderr.splitlines()[0] == b"err"
    assert b"exit code 3" in done.stderr


def test_exec_takes_stdin_to_its_end(kubectl, pod):
    data = os.urandom(3_000_000)
    done = run(kubectl, "exec", "-i", pod, "--", "sha256sum", input=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_exec_gives_large_output_whole(kubectl, pod):
    assert len(run(kubectl, "exec", pod, "--", "head", "-c", "10000000", "/dev/zero").stdout) == 10_000_000


def test_cp_goes_both_ways(kubectl, pod, tmp_path):
    (tmp_path / "there").write_bytes(os.urandom(100_000))
    assert run(kubectl, "cp", str(tmp_path / "there"), f"{pod}:/tmp/there").returncode == 0
    assert run(kubectl, "cp", f"{pod}:/tmp/there", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "there").read_bytes()


def test_port_forward_carries_many_connections(kubectl, pod):
    forward = subprocess.Popen(["kubectl", "port-forward", pod, ":8080"], env=kubectl, stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())[1]
        for number in range(10):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=10) as answer:
                assert answer.read() == f"GET /{number} ".encode()
    finally:
        forward.terminate()
        forward.wait(10)
        forward.stdout.close()


def test_port_forward_to_a_silent_port_says_so(kubectl, pod):
    forward = subprocess.Popen(
        ["kubectl", "port-forward", pod, ":1"], env=kubectl, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())[1]
        with pytest.raises(OSError, match=r".+"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        assert "error forwarding port 1" in forward.stderr.readline()
    finally:
        forward.terminate()
        forward.wait(10)
        forward.stdout.close()
        forward.stderr.close()


class Raw:
    """WebSockets to the API server with the administrator's certificate."""

    def __init__(self, cluster, folder):
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        user = config["users"][0]["user"]
        for name, key in (("crt", "client-certificate-data"), ("key", "client-key-data")):
            (folder / name).write_bytes(base64.b64decode(user[key]))
        ca = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=ca)
        self.tls.load_cert_chain(folder / "crt", folder / "key")

    async def messages(self, path, protocols, send=()):
        """What the server chose, and everything it sent until it closed."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.server}{path}", protocols=protocols, ssl=self.tls) as socket,
        ):
            for data in send:
                await (socket.send_str(data) if isinstance(data, str) else socket.send_bytes(data))
            async with asyncio.timeout(20):
                return socket.protocol, [message.data async for message in socket]


@pytest.fixture
async def raw(cluster, tmp_path):
    yield Raw(cluster, tmp_path)
    await asyncio.sleep(0.1)  # aiohttp closes TLS connections only after its sessions


EXEC = "/api/v1/namespaces/default/pods/streams/exec?container=web&stdout=1&stderr=1&command=sh&command=-c&command="


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_exec_over_channels_ends_with_a_status(raw, pod, protocol):
    chosen, messages = await raw.messages(EXEC + "echo+a;exit+2", [protocol])
    assert chosen == protocol
    assert b"".join(m[1:] for m in messages if m[0] == 1) == b"a\n"
    status = json.loads(messages[-1][1:])
    assert (messages[-1][0], status["details"]["causes"][0]) == (3, {"reason": "ExitCode", "message": "2"})


async def test_exec_over_base64_channels_is_text(raw, pod):
    _, messages = await raw.messages(EXEC + "echo+a", ["v4.base64.channel.k8s.io"])
    assert [(m[0], base64.b64decode(m[1:])) for m in messages if m[0] == "1"] == [("1", b"a\n")]


async def test_exec_in_the_oldest_dialect_says_nothing_of_success(raw, pod):
    chosen, messages = await raw.messages(EXEC + "echo+a", [])
    assert chosen is None
    assert b"".join(m[1:] for m in messages if m[0] == 1) == b"a\n"
    assert not [m for m in messages if m[0] == 3]


async def test_a_protocol_that_nobody_speaks_is_refused(raw, pod):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await raw.messages(EXEC + "true", ["v9.nonsense"])
    assert refused.value.status == 403


@pytest.mark.parametrize("protocol", ["binary.k8s.io", "base64.binary.k8s.io"])
async def test_logs_come_over_websocket(raw, pod, protocol):
    _, messages = await raw.messages("/api/v1/namespaces/default/pods/streams/log?container=web", [protocol])
    parts = [base64.b64decode(m) if isinstance(m, str) else m for m in messages]
    assert b"".join(parts) == b"first line\nsecond line\n"


async def test_ports_are_forwarded_over_channels(raw, pod):
    request = b"\x00GET / HTTP/1.0\r\n\r\n"
    _, messages = await raw.messages("/api/v1/namespaces/default/pods/streams/portforward?ports=8080", ["v4.channel.k8s.io"], [request])
    assert messages[:2] == [b"\x00\x90\x1f", b"\x01\x90\x1f"]
    assert b"".join(m[1:] for m in messages[2:] if m[0] == 0).endswith(b"GET / ")


@pytest.mark.parametrize(
    "target", ["pods/streams", "pods/streams:8080", "services/streams", "services/streams:web", "services/http:streams:80"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_requests_are_proxied_to_pods_and_services(raw, cluster, pod, target, method):
    cluster.until(lambda: cluster.get("endpoints", "streams").get("subsets"))
    body = b"" if method in ("GET", "HEAD") else b"body"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{raw.server}/api/v1/namespaces/default/{target}/proxy/a/b?c=d", ssl=raw.tls, data=body) as answer,
    ):
        assert answer.status == 200
        assert await answer.text() == ("" if method == "HEAD" else f"{method} /a/b?c=d {body.decode()}")


async def test_the_proxy_itself_leads_to_its_root(raw, pod):
    url = f"{raw.server}/api/v1/namespaces/default/pods/streams/proxy?a=b"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=raw.tls, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (301, "/api/v1/namespaces/default/pods/streams/proxy/?a=b")


def test_an_agent_is_reached_through_its_node(cluster):
    assert cluster.kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/healthz").stdout == "ok"
