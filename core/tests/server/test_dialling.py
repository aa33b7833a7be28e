"""Agents are dialled as the nodes that they are: whoever else answers at a node's address is not believed."""

import pytest

from bareboat.base.clock import SystemClock
from bareboat.cluster.pki.authority import Authority
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import InternalError
from bareboat.server.agents import Agents
from bareboat.server.listening import Listener
from bareboat.testing.kernel import Kernel


async def healthy(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_node_does_not_answer_for_another(tmp_path):
    kernel = await Kernel().start()
    pki = Authority(tmp_path, SystemClock())
    serving, client = pki.serving("w1", "system:node:w1", ["w1"], ("system:nodes",)), pki.client("us", "kube-apiserver-kubelet-client")
    listener = Listener(healthy, certificate=serving.certificate, key=serving.key, client_ca=pki.pair.certificate)
    port = await listener.start("127.0.0.1", 0)
    for name in ("w1", "w2"):
        status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
        node = from_tree(core_v1.Node, {"metadata": {"name": name}})
        made = await kernel.client.create(node)
        made.status = from_tree(core_v1.NodeStatus, status)
        await kernel.client.update(made, subresource="status")
    agents = Agents(kernel.reader, client.certificate, client.key, pki.pair.certificate)
    assert await (await agents.request("w1", "GET", "/healthz", ())).read() == b"ok"
    with pytest.raises(InternalError, match=r"certificate verify failed"):
        await agents.request("w2", "GET", "/healthz", ())
    with pytest.raises(InternalError):
        await agents.websocket("w2", "/exec", (), "v5.channel.k8s.io")
    await agents.close()
    await listener.stop()
    await kernel.stop()
