"""One tenant cannot starve another: classification, seats, queues, refusals, what is told of them."""

import asyncio
import time

import pytest

from bareboat.api.request import ApiRequest, parse
from bareboat.contracts.admission import AdmissionPlugin
from bareboat.contracts.auth import UserInfo
from bareboat.models import flowcontrol_v1 as v1
from bareboat.models.codec import from_tree
from bareboat.server.fairness import bootstrap
from bareboat.server.fairness.borrowing import share
from bareboat.server.fairness.keeper import Keeper
from bareboat.server.fairness.queues import deal
from bareboat.server.fairness.report import collect

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


class SlowWebhook(AdmissionPlugin):
    """Holds the writes of one tenant until it is told to let go."""

    name = "slow"

    def __init__(self):
        self.gate = asyncio.Event()
        self.holding = 0

    async def validate(self, request):
        if "tenant-flood" in request.user.name:
            self.holding += 1
            await self.gate.wait()
            self.holding -= 1


def configmap(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def user(name, *groups):
    return UserInfo(name=name, groups=groups or ("system:authenticated",))


@pytest.fixture
async def server(serve):
    return await serve()


@pytest.fixture
async def kept(server):
    """With its bootstrap objects in the store."""
    await Keeper(server.kernel.client, server.kernel.reader, server.kernel.clock).keep()
    return server


@pytest.mark.parametrize(
    ("who", "method", "path", "schema", "level"),
    [
        (user("root", "system:masters"), "GET", "/api/v1/pods", "exempt", "exempt"),
        (user("anybody"), "GET", "/readyz", "probes", "exempt"),
        (user("anybody"), "GET", "/version", "global-default", "global-default"),
        (user("system:node:a", "system:nodes"), "PUT", "/api/v1/nodes/a/status", "system-node-high", "node-high"),
        (user("system:node:a", "system:nodes"), "GET", "/api/v1/pods", "system-nodes", "system"),
        (user("system:kube-scheduler"), "POST", "/api/v1/namespaces/a/pods/p/binding", "kube-scheduler", "workload-high"),
        (
            user("system:kube-scheduler"),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x",
            "system-leader-election",
            "leader-election",
        ),
        (user("system:serviceaccount:kube-system:x"), "GET", "/api/v1/pods", "kube-system-service-accounts", "workload-high"),
        (user("system:serviceaccount:a:b", "system:serviceaccounts"), "GET", "/api/v1/pods", "service-accounts", "workload-low"),
        (user("x", "no:such:group"), "GET", "/api/v1/pods", "catch-all", "catch-all"),
    ],
)
async def test_every_request_has_a_schema_and_a_level(kept, who, method, path, schema, level):
    place = kept.fairness.place(who, parse(method, path, {}))
    assert (place.schema.name, place.level.name) == (schema, level)


async def test_seats_are_shared_out_by_shares(kept):
    kept.fairness.place(user("a"), parse("GET", "/version", {}))
    nominal = {level.name: level.nominal for level in kept.fairness.levels.values()}
    assert nominal == {
        "catch-all": 13,
        "exempt": 0,
        "global-default": 49,
        "leader-election": 25,
        "node-high": 98,
        "system": 74,
        "workload-high": 98,
        "workload-low": 245,
    }


async def test_every_answer_names_the_schema_and_the_level(kept):
    answer = await kept.ask("GET", f"{CONFIGMAPS}/missing")
    schema = await kept.kernel.client.get(v1.FlowSchema, "service-accounts")
    level = await kept.kernel.client.get(v1.PriorityLevelConfiguration, "workload-low")
    assert answer.status == 404
    assert answer.headers["x-kubernetes-pf-flowschema-uid"] == schema.metadata.uid
    assert answer.headers["x-kubernetes-pf-prioritylevel-uid"] == level.metadata.uid


async def test_a_new_schema_acts_at_once(kept):
    level = {
        "metadata": {"name": "tiny"},
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}}},
    }
    await kept.kernel.client.create(from_tree(v1.PriorityLevelConfiguration, level))
    rule = {"subjects": [{"kind": "User", "user": {"name": "u"}}], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/version"]}]}
    spec = {"priorityLevelConfiguration": {"name": "tiny"}, "matchingPrecedence": 50, "rules": [rule]}
    await kept.kernel.client.create(from_tree(v1.FlowSchema, {"metadata": {"name": "mine"}, "spec": spec}))
    assert kept.fairness.place(user("u"), parse("GET", "/version", {})).level.name == "tiny"
    await kept.kernel.client.delete(v1.PriorityLevelConfiguration, "tiny")
    assert kept.fairness.place(user("u"), parse("GET", "/version", {})).level.name == "global-default"


async def test_the_gate_works_without_any_object(server):
    place = server.fairness.place(user("u"), parse("GET", "/api/v1/pods", {}))
    assert place.schema.name == "catch-all"
    assert (await server.ask("GET", CONFIGMAPS, "admin")).status == 200


async def flood(server, number, answers):
    async def one(i):
        answers.append((await server.ask("POST", CONFIGMAPS, "tenant-flood", configmap(f"f{i}"))).status)

    return [asyncio.create_task(one(i)) for i in range(number)]


async def test_a_flood_held_by_a_slow_webhook_leaves_others_alone(serve):
    slow = SlowWebhook()
    server = await serve(seats=60, patience=1.0, admission=[slow])
    await Keeper(server.kernel.client, server.kernel.reader, server.kernel.clock).keep()
    statuses = []
    tasks = await flood(server, 150, statuses)
    while slow.holding < 16:
        await asyncio.sleep(0.01)
    level = server.fairness.levels["workload-low"]
    connection, took = await server.connect(), []
    for i in range(50):
        began = time.perf_counter()
        answer = await server.ask("POST", CONFIGMAPS, "tenant-b", configmap(f"b{i}"), connection=connection)
        assert answer.status == 201
        assert (await server.ask("GET", f"{CONFIGMAPS}/b{i}", "tenant-b", connection=connection)).status == 200
        took.append(time.perf_counter() - began)
    assert level.limit == 25
    assert slow.holding <= 17  # two thirds of the seats
    assert sorted(took)[-2] < 0.5, sorted(took)[-5:]
    connection[1].transport.abort()
    await asyncio.sleep(1.2)
    assert statuses.count(429) >= 120
    slow.gate.set()
    await asyncio.gather(*tasks)
    assert statuses.count(201) + statuses.count(429) == 150
    assert level.used == level.executing == level.waiting == 0
    assert not level.held


async def test_who_is_refused_gets_the_text_and_when_to_come_again(serve):
    slow = SlowWebhook()
    server = await serve(seats=1, patience=0.2, admission=[slow])
    await Keeper(server.kernel.client, server.kernel.reader, server.kernel.clock).keep()
    tasks = await flood(server, 1, [])
    while not slow.holding:
        await asyncio.sleep(0.01)
    answer = await server.ask("POST", CONFIGMAPS, "tenant-flood", configmap("x"))
    assert (answer.status, answer.body) == (429, b"Too many requests, please try again later.\n")
    assert answer.headers["retry-after"] == "1"
    assert "x-kubernetes-pf-flowschema-uid" in answer.headers
    assert server.fairness.levels["workload-low"].rejected == {("service-accounts", "time-out"): 1}
    assert (await server.ask("GET", f"{CONFIGMAPS}/x", "tenant-flood")).status == 404  # a read from memory needs no seat
    slow.gate.set()
    await asyncio.gather(*tasks)


async def test_a_client_that_goes_leaves_the_queue(serve):
    slow = SlowWebhook()
    server = await serve(seats=1, patience=30, admission=[slow])
    await Keeper(server.kernel.client, server.kernel.reader, server.kernel.clock).keep()
    tasks = await flood(server, 1, [])
    while not slow.holding:
        await asyncio.sleep(0.01)
    waiting = await flood(server, 3, [])
    level = server.fairness.levels["workload-low"]
    while level.waiting < 3:
        await asyncio.sleep(0.01)
    dumped = (await server.ask("GET", "/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1", "admin")).body.decode()
    assert dumped.count("system:serviceaccount:tenant-flood:default") == 6
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    while level.waiting:
        await asyncio.sleep(0.01)
    assert level.rejected == {("service-accounts", "cancelled"): 3}
    slow.gate.set()
    await asyncio.gather(*tasks)


async def test_watches_take_a_seat_only_to_begin(kept):
    connections = []
    for _ in range(5):
        reader, writer = await kept.connect()
        writer.write(f"GET {CONFIGMAPS}?watch=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer tenant-a\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"x-kubernetes-pf-flowschema-uid" in head
        connections.append(writer)
    assert kept.fairness.levels["workload-low"].executing == 0
    assert len(kept.streams) == 5
    for writer in connections:
        writer.transport.abort()


async def test_reads_of_a_flood_are_carried_out_over_many_turns(kept):
    level = kept.fairness.place(user("a", "system:serviceaccounts"), parse("GET", f"{CONFIGMAPS}/a", {})).level
    place = kept.fairness.place(user("a", "system:serviceaccounts"), parse("GET", f"{CONFIGMAPS}/a", {}))
    request = ApiRequest(user("a"), "GET", f"{CONFIGMAPS}/a")
    seats = [kept.fairness.enter(place, request, parse("GET", request.path, {})) for _ in range(100)]
    assert sum(seat is not None for seat in seats) == level.turns == 52
    for seat in seats:
        if seat is not None:
            seat.release()
    await asyncio.sleep(0)
    assert kept.fairness.enter(place, request, parse("GET", request.path, {})) is not None


async def test_the_mandatory_objects_come_back_and_edits_of_the_suggested_ones_stay_if_wanted(kept):
    client, keeper = kept.kernel.client, Keeper(kept.kernel.client, kept.kernel.reader, kept.kernel.clock)
    head = kept.kernel.log.head
    await keeper.keep()
    assert kept.kernel.log.head == head  # nothing to do is nothing done
    await client.delete(v1.FlowSchema, "catch-all")
    await client.delete(v1.PriorityLevelConfiguration, "system")
    low = await client.get(v1.PriorityLevelConfiguration, "workload-low")
    low.spec.limited.nominalConcurrencyShares = 7
    low.metadata.annotations[bootstrap.AUTOUPDATE] = "false"
    await client.update(low)
    high = await client.get(v1.PriorityLevelConfiguration, "workload-high")
    high.spec.limited.nominalConcurrencyShares = 7
    await client.update(high)
    exempt = await client.get(v1.PriorityLevelConfiguration, "exempt")
    exempt.spec.exempt.nominalConcurrencyShares = 3
    await client.update(exempt)
    await keeper.keep()
    shares = {
        p.metadata.name: (p.spec.limited or p.spec.exempt).nominalConcurrencyShares
        for p in kept.kernel.reader.list(v1.PriorityLevelConfiguration)
    }
    assert (shares["workload-low"], shares["workload-high"], shares["exempt"], shares["system"]) == (7, 40, 3, 30)
    assert kept.kernel.reader.get(v1.FlowSchema, "catch-all") is not None


async def test_a_schema_without_its_level_says_so(kept):
    rule = {"subjects": [{"kind": "User", "user": {"name": "u"}}], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}
    spec = {"priorityLevelConfiguration": {"name": "later"}, "rules": [rule]}
    await kept.kernel.client.create(from_tree(v1.FlowSchema, {"metadata": {"name": "mine"}, "spec": spec}))
    keeper = Keeper(kept.kernel.client, kept.kernel.reader, kept.kernel.clock)
    await keeper.keep()

    def condition(name):
        [found] = kept.kernel.reader.get(v1.FlowSchema, name).status.conditions
        return found.type, found.status, found.reason

    assert condition("mine") == ("Dangling", "True", "NotFound")
    assert condition("exempt") == ("Dangling", "False", "Found")


async def test_unused_seats_are_lent(kept):
    kept.fairness.place(user("a"), parse("GET", "/version", {}))
    levels = kept.fairness.levels
    levels["global-default"].peak = 400
    limits = share(list(levels.values()), kept.fairness.total)
    assert abs(sum(limits.values()) - kept.fairness.total) < len(limits)
    assert limits["global-default"] > 200
    assert limits["leader-election"] >= 25  # lends nothing
    assert limits["workload-low"] >= levels["workload-low"].lower


def test_a_hand_is_always_the_same_and_has_no_card_twice():
    hands = [deal(("schema", f"user-{i}"), 128, 6) for i in range(200)]
    assert all(len(set(hand)) == 6 and min(hand) >= 0 and max(hand) < 128 for hand in hands)
    assert deal(("schema", "user-1"), 128, 6) == hands[1]
    assert len({tuple(sorted(hand)) for hand in hands}) > 195
    assert sorted(deal(("s", ""), 4, 4)) == [0, 1, 2, 3]


async def test_metrics_have_upstream_s_names(kept):
    await kept.ask("GET", CONFIGMAPS)
    samples = {(s.name, *s.labels.values()): s.value for family in collect(kept.fairness) for s in family.samples}
    assert samples["apiserver_flowcontrol_dispatched_requests_total", "workload-low", "service-accounts"] == 1
    assert samples["apiserver_flowcontrol_nominal_limit_seats", "workload-low"] == 245
    assert samples["apiserver_flowcontrol_request_wait_duration_seconds_count", "workload-low", "service-accounts", "true"] == 1


async def test_seats_that_are_lent_take_no_turns_along(kept):
    """A tenant that only reads wants no seats; it may begin as many reads as before when others have borrowed its seats."""
    fairness = kept.fairness
    level = fairness.place(user("a", "system:serviceaccounts"), parse("GET", f"{CONFIGMAPS}/a", {})).level
    busy = fairness.levels["workload-high"]
    turns, limit = level.turns, level.limit
    busy.peak = 500
    fairness.lend()
    assert (level.turns, level.limit < limit) == (turns, True)
