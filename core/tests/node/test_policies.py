"""From NetworkPolicies, pods and namespaces to what the driver is told."""

import yaml

from bareboat.contracts.netpolicy import Block, PortRange
from bareboat.models import core_v1, networking_v1
from bareboat.models.codec import from_tree
from bareboat.node.policies.resolution import PodFacts, facts, resolve

SPACES = {"a": {"team": "red"}, "b": {"team": "blue"}}


def pod(name, host, space="a", local=True, ports=None, **labels):
    return PodFacts(namespace=space, name=name, labels=labels, address=f"10.0.0.{host}", ports=ports or {}, local=local)


WEB = pod("web", 1, app="web", ports={("http", "TCP"): 8080})
CLIENT = pod("client", 2, app="client")
OTHER = pod("other", 3, space="b", local=False, app="client", ports={("http", "TCP"): 9090})
PODS = (WEB, CLIENT, OTHER)


def state(*specs, pods=PODS, namespace="a"):
    policies = []
    for i, text in enumerate(specs):
        spec = yaml.safe_load(text)
        spec.setdefault("policyTypes", ["Ingress"])
        tree = {"metadata": {"name": f"p{i}", "namespace": namespace}, "spec": spec}
        policies.append(from_tree(networking_v1.NetworkPolicy, tree))
    return resolve(policies, pods, SPACES)


def only(found):
    (isolated,) = found.pods
    return isolated


def members(found, rule):
    sets = {s.name: set(s.addresses) for s in found.sets}
    return set().union(*(sets[name] for name in rule.sets))


def test_a_policy_without_rules_isolates_the_pods_it_selects():
    found = only(state("podSelector: {matchLabels: {app: web}}"))
    assert (found.name, found.address, found.ingress, found.egress) == ("a/web", WEB.address, (), None)


def test_an_empty_selector_means_every_pod_of_the_namespace_and_of_this_node():
    assert [p.name for p in state("podSelector: {}").pods] == ["a/client", "a/web"]
    assert [p.name for p in state("podSelector: {}", namespace="b").pods] == []


def test_a_rule_without_peers_is_for_anyone():
    (rule,) = only(state("{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}")).ingress
    assert rule.anyone
    assert rule.ports == (PortRange(protocol="TCP", first=80, last=80),)


def test_pods_are_meant_of_the_own_namespace_unless_namespaces_are_selected():
    base = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [%s]}]}"
    for peer, expected in (
        ("{podSelector: {matchLabels: {app: client}}}", {CLIENT.address}),
        ("{namespaceSelector: {matchLabels: {team: blue}}}", {OTHER.address}),
        ("{namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}", {CLIENT.address, OTHER.address}),
        ("{namespaceSelector: {matchLabels: {team: none}}}", set()),
    ):
        found = state(base % peer)
        assert members(found, only(found).ingress[0]) == expected


def test_the_name_of_a_set_stays_while_its_members_change():
    text = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}"
    before, after = state(text), state(text, pods=(WEB,))
    assert before.sets[0].name == after.sets[0].name
    assert after.sets[0].addresses == ()


def test_a_named_port_is_the_receiver_s():
    found = state("{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}")
    assert only(found).ingress[0].ports == (PortRange(protocol="TCP", first=8080, last=8080),)
    found = state("{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}")
    by_port = {rule.ports[0].first: members(found, rule) for rule in only(found).egress}
    assert by_port == {8080: {WEB.address}, 9090: {OTHER.address}}


def test_a_name_that_means_nothing_lets_nothing_through():
    found = state("{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: metrics}]}]}")
    assert only(found).ingress == ()


def test_blocks_ranges_and_protocols_are_handed_on():
    text = """
      podSelector: {matchLabels: {app: web}}
      policyTypes: [Ingress, Egress]
      egress:
      - to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
        ports: [{protocol: UDP, port: 53, endPort: 60}, {protocol: TCP}]
    """
    found = only(state(text))
    assert found.ingress == ()
    (rule,) = found.egress
    assert rule.blocks == (Block(cidr="10.0.0.0/8", excepted=("10.1.0.0/16",)),)
    assert rule.ports == (PortRange(protocol="UDP", first=53, last=60), PortRange(protocol="TCP"))


def test_rules_of_several_policies_add_up():
    one = "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 1}]}]}"
    two = "{podSelector: {}, ingress: [{ports: [{port: 2}]}]}"
    web = next(p for p in state(one, two, one).pods if p.name == "a/web")
    assert [r.ports[0].first for r in web.ingress] == [1, 2]


def test_pods_without_an_address_of_their_own_are_left_alone():
    def made(**status):
        tree = {"metadata": {"name": "x", "namespace": "a"}, "spec": {"nodeName": "n1", "containers": []}, "status": status}
        return from_tree(core_v1.Pod, tree)

    assert facts(made(), "n1") is None
    assert facts(made(podIP="10.0.0.9", phase="Succeeded"), "n1") is None
    assert facts(made(podIP="10.0.0.9"), "n1").local
    host = made(podIP="10.0.0.9")
    host.spec.hostNetwork = True
    assert facts(host, "n1") is None
