"""Ways to ask a kernel: typed, and as raw requests."""

import msgspec
import pytest


@pytest.fixture
def client(kernel):
    return kernel.client


@pytest.fixture
def send(kernel):
    """Status and tree of the answer to one request."""

    async def send(method, path, tree=None, media="application/json", **query):
        data = msgspec.json.encode(tree) if tree is not None else b""
        answer = await kernel.client.transport.request(method, path, query=query, body=data, content_type=media)
        return answer.status, msgspec.json.decode(answer.body)

    return send
