"""gRPC probes against a small HTTP/2 server."""

import asyncio

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from bareboat.node import grpc_health


@pytest.fixture
async def server():
    """Answers with what ``answers`` says of the path; the body of the request is kept."""
    state = {"status": 1, "code": "0", "asked": []}

    async def serve(reader, writer):
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    state["asked"].append(dict(event.headers)[":path"])
                if isinstance(event, StreamEnded):
                    connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                    if state["code"] == "0":
                        connection.send_data(event.stream_id, b"\0\0\0\0\2\x08" + bytes([state["status"]]))
                    connection.send_headers(event.stream_id, [("grpc-status", state["code"])], end_stream=True)
            writer.write(connection.data_to_send())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    state["port"] = listening.sockets[0].getsockname()[1]
    yield state
    listening.close()
    await asyncio.sleep(0)


async def test_a_service_that_serves_passes(server):
    assert (await grpc_health.check("127.0.0.1", server["port"], "shop"))[0]
    assert server["asked"] == ["/grpc.health.v1.Health/Check"]


async def test_a_service_that_does_not_serve_fails_and_says_so(server):
    server["status"] = 2
    assert await grpc_health.check("127.0.0.1", server["port"], "") == (False, 'service unhealthy (responded with "NOT_SERVING")')


async def test_a_server_without_the_protocol_fails(server):
    server["code"] = "12"
    passed, message = await grpc_health.check("127.0.0.1", server["port"], "")
    assert not passed
    assert "does not implement the grpc health protocol" in message


async def test_nobody_there_is_an_error():
    with pytest.raises(OSError, match="Connect call failed"):
        await grpc_health.check("127.0.0.1", 1, "")


def test_a_request_names_the_service():
    assert grpc_health.request("") == b"\0\0\0\0\0"
    assert grpc_health.request("ab") == b"\0\0\0\0\4\x0a\2ab"
