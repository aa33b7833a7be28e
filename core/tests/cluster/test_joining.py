"""Preparing a cluster, tokens, signatures, and what is told to who joins."""

import base64
import os

import pytest

from bareboat.auth import detached
from bareboat.base.clock import SystemClock
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.reading import parse
from bareboat.cluster.file.shape import ClusterFile, Server
from bareboat.cluster.identity import Identity
from bareboat.cluster.joining.info import kubeconfig_of, node_part, read_kubeconfig, read_node_part
from bareboat.cluster.joining.init import prepare
from bareboat.cluster.joining.tokens import checked, duration, new_token, secret_of
from bareboat.cluster.layout import Layout
from bareboat.cluster.reconciling import protected, updated
from bareboat.models import rbac_v1
from bareboat.models.codec import from_tree
from bareboat.plugins.problems import PluginErrors


def test_a_prepared_cluster(tmp_path):
    layout = Layout(tmp_path / "a" / "b")
    made = prepare(layout, ClusterFile(), "192.0.2.1", SystemClock())
    assert made.join == f"bareboat join 192.0.2.1:6443 --token {made.token} --ca-cert-hash {made.caCertHash}"
    assert {os.path.basename(path) for path in made.kubeconfigs} == {"kubeconfig", "controller-manager.kubeconfig", "scheduler.kubeconfig"}
    for path in layout.data_dir.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    again = prepare(layout, ClusterFile(), "192.0.2.1", SystemClock())
    assert (again.caCertHash, again.token != made.token) == (made.caCertHash, True)


def test_a_cluster_that_others_join_has_a_port_that_stays(tmp_path):
    with pytest.raises(ClusterError, match="port is 0"):
        prepare(Layout(tmp_path), ClusterFile(server=Server(port=0)), "192.0.2.1", SystemClock())


@pytest.mark.parametrize(
    "token", ["", "abcdef", "abcdef.0123", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcdef\n", " abcdef.0123456789abcdef"]
)
def test_what_is_no_token(token):
    with pytest.raises(ClusterError) as caught:
        checked(token)
    assert "0123456789abcdef" not in str(caught.value).replace("abcdef.0123456789abcdef", "")


def test_random_tokens_are_tokens():
    assert len({new_token() for _ in range(100)}) == 100
    for _ in range(100):
        checked(new_token())


def test_times_to_live():
    assert duration("1d12h").total_seconds() == 36 * 3600
    assert duration("30m").total_seconds() == 1800
    assert duration("0") is None
    for wrong in ("", "soon", "-1h", "1.5h", "h"):
        with pytest.raises(ClusterError):
            duration(wrong)


def test_a_token_gives_only_groups_of_its_own():
    with pytest.raises(ClusterError, match="must begin with system:bootstrappers:"):
        secret_of(new_token(), SystemClock(), groups=["system:masters"])
    data = secret_of("abcdef.0123456789abcdef", SystemClock(), ttl="0").data
    assert "expiration" not in data
    assert base64.b64decode(data["auth-extra-groups"]) == b"system:bootstrappers:bareboat:default-node-token"


def test_a_signature_is_of_that_text_by_that_token():
    good = detached.sign("text", "abcdef", "secret")
    assert detached.verified(good, "text", "abcdef", "secret")
    for change in (("texts", "abcdef", "secret"), ("text", "abcdeg", "secret"), ("text", "abcdef", "secrets")):
        assert not detached.verified(good, *change)
    header, _, mac = good.partition("..")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"abcdef"}').decode().rstrip("=")
    for forged in ("", "..", f"{header}..", f"{none}..{mac}", f"{none}..", f"..{mac}", f"{header}.x.{mac}", "é..é"):
        assert not detached.verified(forged, "text", "abcdef", "secret"), forged


def test_what_is_told_is_read_back():
    assert read_kubeconfig(kubeconfig_of("https://a:1", b"ca")) == ("https://a:1", b"ca")
    for wrong in ("", "[]", "clusters: []", kubeconfig_of("http://a:1", b"ca"), "clusters: [{cluster: {server: 1}}]"):
        with pytest.raises(ClusterError):
            read_kubeconfig(wrong)


def test_nodes_learn_nothing_of_the_servers_options():
    cluster, _ = parse("store: {use: postgres, options: {dsn: 'postgres://u:secret@h'}}\nnode: {maxPods: 7}\n")
    text = node_part(cluster)
    assert "secret" not in text
    assert read_node_part(text).node.maxPods == 7


class NoHooks:
    def collect(self, hook, **arguments):
        return []


class Host:
    clock, audiences = SystemClock(), ("https://cluster",)


def chain(text):
    from bareboat.auth.tokens import Keys

    cluster, _ = parse(text)
    return Identity(cluster, NoHooks(), None, Host()).chain(Keys(b""))


def test_authenticators_are_chosen_and_ordered():
    names = [a.name for a in chain("")._authenticators]
    assert names == ["certificate", "service-account", "bootstrap-token", "anonymous"]
    chosen = chain("authentication: [certificate, {use: anonymous, options: {paths: [/healthz]}}]")
    assert [a.name for a in chosen._authenticators] == ["certificate", "anonymous"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("authentication: [service-account]", "the cluster's own agents and administrators come in by it"),
        ("authentication: [certificate, oidc]", "no such authenticator"),
        ("authentication: [certificate, {use: token-file}]", "missing required field `path`"),
        ("authentication: [certificate, {use: token-file, options: {path: /nowhere}}]", "/nowhere cannot be read"),
        ("authentication: [{use: certificate, options: {a: 1}}]", "unknown field"),
    ],
)
def test_what_cannot_be_chosen_is_told(text, words):
    with pytest.raises(PluginErrors) as caught:
        chain(text)
    assert words in str(caught.value)


def role(*verbs, **metadata):
    rules = [{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]} for verb in verbs]
    return from_tree(rbac_v1.ClusterRole, {"metadata": {"name": "r", **metadata}, "rules": rules})


def test_a_bootstrap_role_gets_back_what_it_lost_and_keeps_what_it_got():
    known = role("list", "delete", labels={"own": "x"})
    assert updated(known, role("get", "list", labels={"a": "b"}))
    assert [rule.verbs for rule in known.rules] == [["list"], ["delete"], ["get"]]
    assert known.metadata.labels == {"own": "x", "a": "b"}
    assert not updated(known, role("get", "list", labels={"a": "b"}))
    assert protected(role("get", annotations={"rbac.authorization.kubernetes.io/autoupdate": "false"}))
