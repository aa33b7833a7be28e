"""What the audit log says of requests, and what it never says."""

import asyncio
import os
import stat
from pathlib import Path

import msgspec
import pytest

from bareboat.api.request import parse
from bareboat.base.clock import SystemClock
from bareboat.contracts.admission import AdmissionPlugin
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1
from bareboat.server.audit import webhook
from bareboat.server.audit.logfile import LogBackend, LogOptions
from bareboat.server.audit.policy import PolicyError
from bareboat.server.audit.policy import parse as policy
from bareboat.server.audit.webhook import WebhookBackend, WebhookOptions

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
EVERYTHING = HEAD + "rules: [{level: RequestResponse}]\n"


def configmap(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class Annotating(AdmissionPlugin):
    name = "annotating"

    async def validate(self, request):
        request.annotations["mutation.example.com/said"] = "so"


@pytest.fixture
async def audited(serve, tmp_path):
    """A server with a policy, and its events of one id, or all."""

    async def start(text, **options):
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        server = await serve(policy=path, log=tmp_path / "audit" / "audit.log", **options)
        server.policy = path
        return server

    async def events(server, number, audit_id=""):
        log = tmp_path / "audit" / "audit.log"
        async with asyncio.timeout(5):
            while True:
                found = [msgspec.json.decode(line) for line in log.read_bytes().splitlines()] if log.exists() else []
                mine = [e for e in found if audit_id in ("", e["auditID"])]
                if len(mine) >= number:
                    return mine
                await asyncio.sleep(0.01)

    return start, events


async def test_a_create_is_recorded_as_upstream_does(audited):
    start, events = audited
    server = await start(EVERYTHING, admission=[Annotating()])
    headers = [("User-Agent", "kubectl/1.36"), ("X-Forwarded-For", "203.0.113.7, 198.51.100.2"), ("Audit-ID", "mine")]
    answer = await server.ask("POST", f"{CONFIGMAPS}?fieldManager=m", tree=configmap("a", k="v"), headers=headers)
    assert answer.headers["audit-id"] == "mine"
    received, complete = await events(server, 2, "mine")
    assert received["stage"] == "RequestReceived"
    assert "responseStatus" not in received
    assert "requestObject" not in received
    times = complete.pop("requestReceivedTimestamp"), complete.pop("stageTimestamp")
    assert all(len(t) == 27 and t.endswith("Z") for t in times)
    assert complete.pop("responseObject")["metadata"]["uid"]
    asked = complete.pop("requestObject")
    assert (asked["kind"], asked["metadata"]["name"], asked["data"]) == ("ConfigMap", "a", {"k": "v"})
    assert complete == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "mine",
        "stage": "ResponseComplete",
        "requestURI": f"{CONFIGMAPS}?fieldManager=m",
        "verb": "create",
        "user": {
            "username": "system:serviceaccount:tenant-a:default",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:tenant-a", "system:authenticated"],
        },
        "sourceIPs": ["203.0.113.7", "198.51.100.2", "127.0.0.1"],
        "userAgent": "kubectl/1.36",
        "objectRef": {"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "",
            "mutation.example.com/said": "so",
        },
    }


async def test_every_answer_has_an_id_of_its_own(serve):
    server = await serve()
    ids = {(await server.ask("GET", CONFIGMAPS)).headers["audit-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(len(i) == 36 for i in ids)


async def test_failures_say_why(audited):
    start, events = audited
    server = await start(EVERYTHING)
    await server.ask("GET", f"{CONFIGMAPS}/none", headers=[("Audit-ID", "x")])
    _, complete = await events(server, 2, "x")
    assert complete["responseStatus"]["code"] == 404
    assert complete["responseStatus"]["reason"] == "NotFound"
    assert complete["responseStatus"]["message"] == 'configmaps "none" not found'


async def test_a_watch_has_started_and_is_complete_when_it_ends(audited):
    start, events = audited
    server = await start(EVERYTHING)
    await server.raw(
        f"GET {CONFIGMAPS}?watch=1&timeoutSeconds=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nAudit-ID: w\r\nConnection: close\r\n\r\n".encode()
    )
    found = await events(server, 3, "w")
    assert [e["stage"] for e in found] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    assert {e["verb"] for e in found} == {"watch"}


async def test_who_acts_as_somebody_else_is_named_as_both(audited):
    start, events = audited
    server = await start(EVERYTHING)
    await server.ask("GET", CONFIGMAPS, "admin", headers=[("Impersonate-User", "jane"), ("Audit-ID", "i")])
    event = (await events(server, 2, "i"))[1]
    assert (event["user"]["username"], event["impersonatedUser"]["username"]) == ("admin", "jane")


async def test_what_happens_inside_the_server_is_recorded_too(audited):
    start, events = audited
    server = await start(EVERYTHING)
    await server.kernel.client.list(core_v1.Pod, "default")
    found = await events(server, 2)
    assert any(e["requestURI"].startswith("/api/v1/namespaces/default/pods") and e["stage"] == "ResponseComplete" for e in found)


async def test_paths_that_are_no_resources_are_recorded(audited):
    start, events = audited
    server = await start(EVERYTHING)
    await server.ask("GET", "/version", headers=[("Audit-ID", "v")])
    await server.ask("GET", "/nothing", headers=[("Audit-ID", "n")])
    assert (await events(server, 2, "v"))[1]["responseStatus"]["code"] == 200
    missing = (await events(server, 2, "n"))[1]
    assert missing["responseStatus"]["code"] == 404
    assert "objectRef" not in missing


async def test_no_token_is_ever_written(audited, tmp_path):
    start, events = audited
    server = await start(EVERYTHING)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "secret-in-review"}}
    await server.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "admin", review, headers=[("Audit-ID", "r")])
    await server.ask("GET", f"{CONFIGMAPS}?token=secret-in-query&access_token=secret-in-query", headers=[("Audit-ID", "q")])
    await server.ask("GET", CONFIGMAPS, "secret-in-header", headers=[("Audit-ID", "h")])
    reviewed = (await events(server, 2, "r"))[1]
    assert reviewed["level"] == "Metadata"
    assert "requestObject" not in reviewed
    await events(server, 2, "h")
    text = (tmp_path / "audit" / "audit.log").read_text()
    assert "secret-in-review" not in text
    assert "secret-in-query" not in text
    assert "Bearer" not in text


async def test_the_example_keeps_secrets_and_records_changes(audited, tmp_path):
    start, events = audited
    server = await start((Path(__file__).parents[3] / "examples" / "audit-policy.yaml").read_text())
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    await server.ask("POST", "/api/v1/namespaces/default/secrets", tree=secret, headers=[("Audit-ID", "s")])
    await server.ask("GET", "/readyz")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    await server.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "admin", role, headers=[("Audit-ID", "c")])
    [kept] = await events(server, 1, "s")
    assert (kept["level"], kept["objectRef"]["name"]) == ("Metadata", "s")
    [made] = await events(server, 1, "c")
    assert made["level"] == "RequestResponse"
    assert "managedFields" not in made["responseObject"]["metadata"]
    text = (tmp_path / "audit" / "audit.log").read_text()
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text
    assert "readyz" not in text


async def test_a_changed_policy_is_taken_up_and_a_wrong_one_is_not(audited, caplog):
    start, _ = audited
    server = await start(EVERYTHING)
    auditor = server.edge.auditor
    server.policy.write_text(HEAD + "rules: [{level: Everything}]\n")
    auditor.reload()
    assert "stays in force" in caplog.text
    assert "`$.rules[0].level`" in caplog.text
    server.policy.write_text(HEAD + "rules: [{level: None}]\n")
    auditor.reload()
    before = auditor.events
    await server.ask("GET", CONFIGMAPS)
    assert auditor.events == before


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("[]", "no rules"),
        ("[{}]", "missing required field `level`"),
        ("[{level: Metadata, user: [a]}]", "unknown field `user`"),
        ("[{level: Metadata, omitStages: [Later]}]", "Invalid enum value 'Later'"),
        ('[{level: Metadata, nonResourceURLs: ["/a"], namespaces: [b]}]', "both regular resources and non-resource URLs"),
        ("[{level: Metadata, nonResourceURLs: [a]}]", 'must begin with a "/"'),
        ('[{level: Metadata, nonResourceURLs: ["/a*b"]}]', "must be the final character"),
        ("[{level: Metadata, resources: [{group: apps/v1}]}]", "not part of the group"),
        ("[{level: Metadata, resources: [{resourceNames: [a]}]}]", "requires at least one resource"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(rules, fault):
    with pytest.raises(PolicyError, match=fault.replace("*", r"\*").replace("(", r"\(")):
        policy(f"{HEAD}rules: {rules}".encode())


@pytest.mark.parametrize(
    ("rule", "path", "fits"),
    [
        ("resources: [{group: '', resources: [pods]}]", "/api/v1/namespaces/a/pods/p", True),
        ("resources: [{group: '', resources: [pods]}]", "/api/v1/namespaces/a/pods/p/log", False),
        ("resources: [{group: '', resources: [pods/log]}]", "/api/v1/namespaces/a/pods/p/log", True),
        ("resources: [{group: '', resources: ['pods/*']}]", "/api/v1/namespaces/a/pods/p/log", True),
        ("resources: [{group: '', resources: ['*/log']}]", "/api/v1/namespaces/a/pods/p/log", True),
        ("resources: [{group: apps}]", "/apis/apps/v1/deployments", True),
        ("resources: [{group: '', resources: [pods], resourceNames: [q]}]", "/api/v1/namespaces/a/pods/p", False),
        ("namespaces: [a]", "/api/v1/namespaces/a/pods", True),
        ("namespaces: [b]", "/api/v1/namespaces/a/pods", False),
        ("namespaces: ['']", "/api/v1/nodes", True),
        ("verbs: [list]", "/api/v1/nodes", True),
        ("nonResourceURLs: ['/api*']", "/apis", True),
        ("nonResourceURLs: ['/api*']", "/api/v1/nodes", False),
        ("users: [u]", "/version", True),
        ("userGroups: [h]", "/version", False),
    ],
)
def test_the_first_rule_that_fits_decides(rule, path, fits):
    judge = policy(f"{HEAD}rules: [{{level: Metadata, {rule}}}, {{level: None}}]".encode())
    verdict = judge.verdict(UserInfo(name="u", groups=("g",)), parse("GET", path, {}))
    assert (verdict.level == "Metadata") is fits


def test_the_log_is_private_and_rotated(tmp_path):
    log = LogBackend(LogOptions(path=str(tmp_path / "a.log"), maxSize=1, maxBackups=2, compress=True), SystemClock())
    for i in range(6):
        log.write([b"%d" % i + b"x" * 700_000])
    log.close()
    files = sorted(os.listdir(tmp_path))
    assert len(files) == 3
    assert files[-1] == "a.log"
    assert all(f.endswith(".log.gz") for f in files[:-1])
    assert {stat.S_IMODE((tmp_path / f).stat().st_mode) for f in files} == {0o600}
    assert log.errors == 0


class Collecting:
    """A transport that fails as often as it is told."""

    def __init__(self, failures=0):
        self.failures = failures
        self.lists = []

    async def request(self, method, path, *, body):
        if self.failures:
            self.failures -= 1
            raise ConnectionResetError("reset")
        self.lists.append(msgspec.json.decode(body))
        return type("Answer", (), {"status": 200})

    async def close(self):
        return None


@pytest.fixture
def sending(monkeypatch):
    def make(transport, **options):
        monkeypatch.setattr(webhook.kubeconfig, "load", lambda path, user_agent: transport)
        return WebhookBackend(WebhookOptions(kubeconfig="k", **options), SystemClock())

    return make


async def test_the_webhook_gets_batches_and_tries_again(sending):
    transport = Collecting(failures=2)
    backend = sending(transport, maxBatchSize=3, maxBatchWait=0.05, initialBackoff=0.01)
    task = asyncio.create_task(backend.run())
    for i in range(7):
        backend.put(b'{"n":%d}' % i)
    async with asyncio.timeout(5):
        while sum(len(found["items"]) for found in transport.lists) < 7:
            await asyncio.sleep(0.01)
    assert [len(found["items"]) for found in transport.lists] == [3, 3, 1]
    assert (transport.lists[0]["kind"], transport.lists[0]["apiVersion"]) == ("EventList", "audit.k8s.io/v1")
    assert backend.errors == 0
    backend.put(b'{"n":"last"}')
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert transport.lists[-1]["items"] == [{"n": "last"}]


async def test_what_the_webhook_does_not_take_is_counted(sending):
    backend = sending(Collecting(failures=100), bufferSize=5, maxBatchSize=5, initialBackoff=0.001)
    for i in range(8):
        backend.put(b"%d" % i)
    assert backend.errors == 3
    task = asyncio.create_task(backend.run())
    async with asyncio.timeout(5):
        while backend.errors < 8:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
