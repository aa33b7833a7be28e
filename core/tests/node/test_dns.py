"""What the node's name server answers, from Services and EndpointSlices in memory."""

import ipaddress
import socket
import struct
from types import SimpleNamespace

import pytest

from bareboat.models import core_v1, discovery_v1, meta_v1
from bareboat.node.config import NodeConfig
from bareboat.node.dns import forwarding, message
from bareboat.node.dns.responder import Responder
from bareboat.node.dns.zone import Zone


class Informer:
    """Objects by key, with indexes that are looked through anew each time."""

    def __init__(self, objects):
        self.objects = {f"{o.metadata.namespace}/{o.metadata.name}": o for o in objects}
        self.indexes = {}

    def get(self, key):
        return self.objects.get(key)

    def add_index(self, name, values):
        self.indexes[name] = values

    def by_index(self, name, value):
        return [k for k, o in self.objects.items() if value in self.indexes[name](o)]

    async def synced(self):
        return


def meta(name, labels=None):
    return meta_v1.ObjectMeta(name=name, namespace="shop", labels=labels or {})


def service(name, **spec):
    return core_v1.Service(metadata=meta(name), spec=core_v1.ServiceSpec(**spec))


HTTP = core_v1.ServicePort(name="http", port=80, protocol="TCP")
ENDPOINTS = [
    discovery_v1.Endpoint(addresses=["10.244.0.7"], hostname="db-0", conditions=discovery_v1.EndpointConditions(ready=True)),
    discovery_v1.Endpoint(addresses=["10.244.0.8"], conditions=discovery_v1.EndpointConditions(ready=True)),
    discovery_v1.Endpoint(addresses=["10.244.0.9"], conditions=discovery_v1.EndpointConditions(ready=False)),
]


@pytest.fixture
def zone():
    services = [
        service("web", clusterIP="10.96.0.20", clusterIPs=["10.96.0.20"], ports=[HTTP]),
        service("db", clusterIP="None", clusterIPs=["None"], ports=[HTTP]),
        service("out", type="ExternalName", externalName="Example.com"),
        service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local"),
    ]
    slices = [
        discovery_v1.EndpointSlice(
            metadata=meta("db-1", {"kubernetes.io/service-name": "db"}),
            addressType="IPv4",
            endpoints=ENDPOINTS,
            ports=[discovery_v1.EndpointPort(name="http", port=8080, protocol="TCP")],
        )
    ]
    kinds = {core_v1.Service: Informer(services), discovery_v1.EndpointSlice: Informer(slices)}
    return Zone("cluster.local", SimpleNamespace(of=kinds.__getitem__))


def values(answer):
    return [str(ipaddress.ip_address(r.data)) for r in answer.records if r.kind == message.A]


def test_a_service_has_its_address_and_a_headless_one_those_of_its_ready_endpoints(zone):
    assert values(zone.lookup("web.shop.svc.cluster.local", message.A)) == ["10.96.0.20"]
    assert values(zone.lookup("db.shop.svc.cluster.local", message.A)) == ["10.244.0.7", "10.244.0.8"]
    assert values(zone.lookup("db-0.db.shop.svc.cluster.local", message.A)) == ["10.244.0.7"]
    assert values(zone.lookup("10-244-0-8.db.shop.svc.cluster.local", message.A)) == ["10.244.0.8"]
    assert values(zone.lookup("10-244-0-9.shop.pod.cluster.local", message.A)) == ["10.244.0.9"]


def test_what_exists_without_such_a_record_is_told_from_what_does_not_exist(zone):
    assert zone.lookup("web.shop.svc.cluster.local", message.AAAA).exists
    assert zone.lookup("shop.svc.cluster.local", message.A).exists
    for name in ("nobody.shop.svc.cluster.local", "x.web.shop.svc.cluster.local", "web.other.svc.cluster.local", "x.cluster.local"):
        assert not zone.lookup(name, message.A).exists
    assert zone.lookup("example.com", message.A) is None


def test_a_port_has_a_service_record_for_every_target(zone):
    found = zone.lookup("_http._tcp.web.shop.svc.cluster.local", message.SRV).records
    assert [r.data for r in found] == [struct.pack("!3H", 0, 100, 80) + message.encode_name("web.shop.svc.cluster.local")]
    answer = zone.lookup("_http._tcp.db.shop.svc.cluster.local", message.SRV)
    assert [r.data[4:6] for r in answer.records] == [b"\x1f\x90", b"\x1f\x90"]
    assert [r.name for r in answer.extra] == ["db-0.db.shop.svc.cluster.local", "10-244-0-8.db.shop.svc.cluster.local"]
    assert not zone.lookup("_ftp._tcp.web.shop.svc.cluster.local", message.SRV).exists


def test_an_external_name_is_an_alias_that_is_followed(zone):
    answer = zone.lookup("out.shop.svc.cluster.local", message.A)
    assert [(r.kind, r.data) for r in answer.records] == [(message.CNAME, message.encode_name("example.com"))]
    assert answer.elsewhere == "example.com"
    assert values(zone.lookup("alias.shop.svc.cluster.local", message.A)) == ["10.96.0.20"]


def test_addresses_have_names(zone):
    def names(address):
        answer = zone.lookup(".".join(reversed(address.split("."))) + ".in-addr.arpa", message.PTR)
        return [r.data for r in answer.records] if answer else []

    assert names("10.96.0.20") == [message.encode_name("web.shop.svc.cluster.local")]
    assert names("10.244.0.7") == [message.encode_name("db-0.db.shop.svc.cluster.local")]
    assert names("10.244.0.99") == []


def test_bytes_that_are_no_question_get_no_answer():
    for data in (b"", b"\0" * 12, b"\0" * 4 + b"\0\1" + b"\0" * 6 + b"\xc0\x0c\0\1\0\1", message.query(1, "a", 1)[:-3]):
        with pytest.raises(ValueError, match=r"query|question|name"):
            message.parse(data)


async def test_the_responder_answers_over_both_and_asks_others_for_the_rest(zone, tmp_path, monkeypatch):
    config = NodeConfig(name="n", internal_ip="127.0.0.1", cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16")
    responder = Responder(config, zone, tmp_path)
    responder.bind()
    for each in responder._sockets:
        each.close()
    again = Responder(config, zone, tmp_path)
    again.bind()
    assert again.port == responder.port
    for each in again._sockets:
        each.close()

    async def ask(query, servers, *, tcp=False):
        question = message.parse(query)
        if question.name == "nowhere.example":
            raise forwarding.NoAnswer
        return message.reply(question, [message.address(question.name, "192.0.2.1")])

    monkeypatch.setattr(forwarding, "ask", ask)

    async def of(name):
        return await again._answer(message.query(7, name, message.A), tcp=False)

    assert [r.kind for r in message.addresses(await of("out.shop.svc.cluster.local"))] == [message.CNAME, message.A]
    assert message.addresses(await of("bareboat.example"))[0].data == socket.inet_aton("192.0.2.1")
    assert (await of("nowhere.example"))[3] & 15 == message.SERVFAIL
    assert (await of("no.shop.svc.cluster.local"))[3] & 15 == message.NXDOMAIN
    assert not again._may_ask("203.0.113.9")


def test_a_long_answer_is_cut_off_for_udp():
    question = message.parse(message.query(1, "a.b", message.A))
    answers = [message.address("a.b", f"10.0.0.{n}") for n in range(60)]
    short = message.reply(question, answers, limit=question.size)
    assert len(short) <= 512
    assert short[2] & 2
    assert len(message.addresses(message.reply(question, answers))) == 60
