"""What strangers try at the edge: huge, malformed, ambiguous requests. Nothing gets in, nothing falls over."""

import asyncio
import time

import msgspec
import pytest
from core.tests.server.conftest import CONFIGMAPS, POST, fine

from bareboat.models import core_v1
from bareboat.models.codec import from_tree

SMALL = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"smuggled"}}'


#: A hundred bytes per line, nine times as much in memory with every line.
ALIASES = "\n".join(
    [
        *("kind: ConfigMap", "apiVersion: v1", "metadata: {name: bomb}", "a: &a [x,x,x,x,x,x,x,x,x]"),
        *(f"{b}: &{b} [{','.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    ]
).encode()


async def names(server):
    return [c.metadata.name for c in (await server.kernel.client.list(core_v1.ConfigMap, "default")).items]


class TestSmuggling:
    @pytest.mark.parametrize(
        "head",
        [
            "Content-Length: 69\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 69\r\n",
            "Content-Length: 69\r\nContent-Length: 70\r\n",
            "Content-Length: 69\r\nContent-Length: 69\r\n",
            "Content-Length: 69, 69\r\n",
            "Content-Length: +69\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x45\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length : 69\r\n",
            "Transfer-Encoding: identity, chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 69\r\n\x00: b\r\n",
            "X\x00: a\r\nContent-Length: 69\r\n",
            "Content-Length: 69\r\nX: a\rY: b\r\n",
            "Content-Length: 69\nX: a\n",
        ],
    )
    async def test_what_can_be_read_in_two_ways_is_not_read_at_all(self, server, head):
        got = await server.raw(f"{POST}{head}\r\n".encode() + SMALL + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 400") or got == b"", got
        assert got.count(b"HTTP/1.1 ") <= 1
        assert await names(server) == []
        await fine(server)

    @pytest.mark.parametrize(
        "chunks", [b"zz\r\n" + SMALL, b"-1\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"45\r\n" + SMALL + b"XX0\r\n\r\n", b"45\n" + SMALL]
    )
    async def test_chunks_that_are_none_are_refused(self, server, chunks):
        got = await server.raw(
            f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert got == b"" or got.startswith(b"HTTP/1.1 400"), got
        assert got.count(b"HTTP/1.1 ") <= 1
        assert await names(server) == []

    async def test_a_response_cannot_be_split_by_what_is_in_the_path(self, server):
        for path in (f"{CONFIGMAPS}/x%0d%0aSet-Cookie:%20a=b", "/api/v1/namespaces/default/pods/x%0d%0aX-Evil:1/proxy"):
            answer = await server.ask("GET", path)
            assert answer.status == 400
            assert "x-evil" not in answer.headers
            assert "set-cookie" not in answer.headers

    async def test_a_warning_cannot_be_split_by_what_is_in_the_body(self, server):
        body = SMALL.replace(b'"metadata"', b'"a\\r\\nX-Evil: 1":1,"metadata"')
        answer = await server.ask("POST", CONFIGMAPS, body=body)
        assert answer.status == 201
        assert "x-evil" not in answer.headers
        assert "unknown field" in answer.headers["warning"]


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            f"{CONFIGMAPS}/..",
            f"{CONFIGMAPS}/%2e%2e/secrets/x",
            f"{CONFIGMAPS}/..%2f..%2fsecrets",
            "/api/v1/../../etc/passwd",
            f"{CONFIGMAPS}/a%00b",
            f"{CONFIGMAPS}/a%0ab",
            "/apis/metrics.k8s.io/v1beta1/namespaces/mine/pods/../../other/pods/x",
        ],
    )
    async def test_paths_that_mean_two_things_are_refused(self, server, path):
        assert (await server.ask("GET", path)).status == 400

    @pytest.mark.parametrize(
        "path",
        [
            "//api/v1/namespaces",
            "/api%2fv1x",
            "/%61pi/v1/nothing",
            "/etc/passwd",
            "/static/..;/x",
            "/api/v1/namespaces/default%2fx/configmaps",
        ],
    )
    async def test_paths_that_name_nothing_are_not_found(self, server, path):
        assert (await server.ask("GET", path)).status == 404

    async def test_paths_that_are_made_up_leave_nothing_behind(self, server):
        connection = await server.connect()
        for i in range(20):
            assert (await server.ask("GET", f"/apis/made{i}.up/v1/{'x' * 5000}{i}/y", connection=connection)).status == 404
            assert (await server.ask("GET", f"/api/v1/pods/a/{'x' * 5000}{i}", connection=connection)).status == 404
        kept = [key for key in server.fairness._places if any(len(str(part)) > 1000 for part in key)]
        assert kept == []
        assert not any("x" * 5000 in label for labels, _ in server.kernel.service.requests.counts for label in labels)
        connection[1].transport.abort()

    async def test_an_encoded_slash_is_authorized_as_what_it_serves(self, server):
        seen = []

        async def authorize(attributes):
            seen.append((attributes.resource, attributes.namespace, attributes.name))
            from bareboat.contracts.auth import ALLOW

            return ALLOW

        server.kernel.authority.authorize = authorize
        await server.ask("GET", "/api/v1/namespaces/default%2fsecrets%2fx")
        assert seen == [("secrets", "default", "x")]

    async def test_a_path_of_a_megabyte_is_refused_at_once(self, server):
        got = await server.raw(b"GET /api/" + b"a" * (2 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 431") or got == b""
        await fine(server)


class TestSize:
    async def test_a_head_of_two_megabytes_is_refused(self, server):
        got = await server.raw(b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (2 << 20) + b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 431") or got == b""
        await fine(server)

    async def test_a_head_of_many_headers_is_refused_quickly(self, server):
        head = b"".join(b"a%d:\r\n" % i for i in range(100_000))
        got = await server.raw(b"GET /api HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
        assert got.startswith(b"HTTP/1.1 431") or got == b""
        await fine(server)

    async def test_repeated_headers_cost_no_more_than_others(self, server):
        head = b"".join(b"a%d: x\r\n" % (i // 2) for i in range(900))
        began = time.perf_counter()
        got = await server.ask("GET", CONFIGMAPS, headers=[line.split(": ") for line in head.decode().split("\r\n")[:-1]])
        assert got.status == 200
        assert time.perf_counter() - began < 1

    async def test_a_query_of_many_parameters_is_refused(self, server):
        assert (await server.ask("GET", f"{CONFIGMAPS}?{'a&' * 100_000}")).status == 400

    async def test_a_body_that_says_it_is_too_large_is_not_read(self, server):
        got = await server.raw(f"{POST}Content-Length: 1000000000\r\nConnection: close\r\n\r\n".encode())
        assert got.startswith(b"HTTP/1.1 413")
        assert b'"message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge"' in got

    async def test_a_body_that_turns_out_too_large_is_refused_and_the_connection_closed(self, server):
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        reader, writer = await server.connect()
        writer.write(f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(200):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        got = b""
        try:
            async with asyncio.timeout(10):
                got = await reader.read()
        except ConnectionError:
            pass
        assert got.startswith(b"HTTP/1.1 413") or got == b""
        writer.transport.abort()
        await fine(server)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"a":' * 500_000,
            b"[" * 3_000_000,
            SMALL[:-1] + b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
            SMALL[:-1] + b',"metadata":{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
        ],
    )
    async def test_nested_bodies_are_bad_requests(self, server, body):
        began = time.perf_counter()
        answer = await server.ask("POST", CONFIGMAPS, body=body)
        assert answer.status == 400
        assert time.perf_counter() - began < 2
        await fine(server)

    async def test_a_compressed_body_is_not_unpacked(self, server):
        import gzip

        bomb = gzip.compress(b" " * 100_000_000, 9)
        answer = await server.ask("POST", CONFIGMAPS, body=bomb, headers=[("Content-Encoding", "gzip")])
        assert answer.status in (400, 415)

    @pytest.mark.parametrize("media", ["application/yaml", "application/apply-patch+yaml"])
    @pytest.mark.parametrize("body", [ALIASES, b"[" * 3_000_000, b"{a: " * 400_000, b"- " * 1_000_000, b"? " * 100_000, b"a: &a [*a]"])
    async def test_yaml_that_unfolds_or_nests_without_end_is_refused(self, server, media, body):
        method, path = ("PATCH", f"{CONFIGMAPS}/x?fieldManager=m") if "apply" in media else ("POST", CONFIGMAPS)
        began = time.perf_counter()
        answer = await server.ask(method, path, body=body, media=media)
        assert answer.status == 400, answer.body[:300]
        assert time.perf_counter() - began < 5
        await fine(server)

    async def test_a_long_yaml_document_does_not_stop_the_others(self, server):
        lines = b"".join(b"  k%d: [a, b, {c: d}]\n" % i for i in range(20_000))
        task = asyncio.create_task(
            server.ask("POST", CONFIGMAPS, body=b"kind: ConfigMap\napiVersion: v1\nunknown:\n" + lines, media="application/yaml")
        )
        await asyncio.sleep(0.2)
        assert not task.done()
        connection, answered = await server.connect(), 0
        while not task.done():
            assert (await server.ask("GET", CONFIGMAPS, "tenant-b", connection=connection)).status == 200
            answered += not task.done()
            await asyncio.sleep(0.02)
        assert (await task).status == 422
        assert answered >= 2
        connection[1].transport.abort()

    @pytest.mark.parametrize("doubling", ["copy", "move"])
    async def test_a_patch_does_not_double_the_object_without_end(self, server, doubling):
        await server.ask("POST", CONFIGMAPS, tree={**msgspec.json.decode(SMALL), "data": {"a": "b" * 500_000}})
        paths = [("/data", "/data/x%d"), ("/data", "/data/x%d")] if doubling == "copy" else [("/data", "/x"), ("/x", "/data")]
        operations = [
            {"op": doubling, "from": start, "path": end.replace("%d", str(i))}
            for i in range(4000 if doubling == "move" else 40)
            for start, end in paths
        ]
        began = time.perf_counter()
        answer = await server.ask("PATCH", f"{CONFIGMAPS}/smuggled", tree=operations, media="application/json-patch+json")
        assert answer.status == (422 if doubling == "copy" else 200), answer.body[:200]
        assert time.perf_counter() - began < 3

    async def test_a_body_of_unknown_fields_does_not_come_back_as_headers(self, server):
        body = SMALL[:-1] + b"," + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}"
        answer = await server.ask("POST", CONFIGMAPS, body=body)
        assert answer.status == 201
        assert len(str(answer.headers)) < 10_000


class TestPipelining:
    async def test_requests_in_one_piece_are_answered_in_their_order(self, server):
        request = f"GET {CONFIGMAPS}/%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\n%s\r\n"
        data = "".join(request % (f"n{i}", "Connection: close\r\n" if i == 9 else "") for i in range(10)).encode()
        got = await server.raw(data)
        assert got.count(b"HTTP/1.1 404") == 10
        places = [got.index(b"n%d" % i) for i in range(10)]
        assert places == sorted(places)

    async def test_thousands_in_one_piece_end_the_connection(self, server):
        got = await server.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\n\r\n" * 5000)
        assert got.count(b"HTTP/1.1 200") <= 200
        await fine(server)


class TestProxy:
    """A proxy subresource leads to the pod, the Service or the node that it names, and nowhere else."""

    @pytest.mark.parametrize("name", ["p:x@127.0.0.1", "p:80@127.0.0.1", "http:p:1@localhost", "p:80%2f..", "p:80%23", "p:99999", "p:-1"])
    async def test_a_port_cannot_name_another_host(self, server, name):
        pod = {
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"podIP": "198.51.100.1"},
        }
        await server.kernel.client.create(from_tree(core_v1.Pod, pod))
        found = await server.kernel.client.get(core_v1.Pod, "p", "default")
        found.status.podIP = "198.51.100.1"
        await server.kernel.client.update(found, subresource="status")
        answer = await server.ask("GET", f"/api/v1/namespaces/default/pods/{name}/proxy/")
        assert answer.status in (400, 404), answer.body

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
    async def test_a_pod_that_says_it_is_the_server_is_not_asked(self, server, address):
        pod = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await server.kernel.client.create(from_tree(core_v1.Pod, pod))
        found = await server.kernel.client.get(core_v1.Pod, "p", "default")
        found.status.podIP = address
        await server.kernel.client.update(found, subresource="status")
        answer = await server.ask("GET", f"/api/v1/namespaces/default/pods/p:{server.port}/proxy/")
        assert (answer.status, answer.json["message"]) == (400, "address not allowed")
