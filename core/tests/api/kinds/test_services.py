"""Services, their endpoints, and what else networking.k8s.io and discovery.k8s.io know."""

import pytest

META = {"name": "a", "namespace": "default"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": META,
    "spec": {"selector": {"app": "a"}, "clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}]},
}
NODE_PORT = {**SERVICE, "spec": {**SERVICE["spec"], "type": "NodePort"}}
BALANCER = {**SERVICE, "spec": {**SERVICE["spec"], "type": "LoadBalancer", "loadBalancerClass": "a.b/c"}}
HEADLESS = {**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "None"}}
EXTERNAL = {"apiVersion": "v1", "kind": "Service", "metadata": META, "spec": {"type": "ExternalName", "externalName": "a.b"}}
ENDPOINTS = {
    "apiVersion": "v1",
    "kind": "Endpoints",
    "metadata": META,
    "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"name": "a", "port": 80}]}],
}
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": META,
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"name": "a", "port": 80}],
}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": META,
    "spec": {
        "rules": [
            {
                "host": "a.example.com",
                "http": {
                    "paths": [{"path": "/a", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}],
                },
            }
        ]
    },
}
CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "a"},
    "spec": {"controller": "a.b/c"},
}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": META,
    "spec": {
        "podSelector": {},
        "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80, "endPort": 90}]}],
    },
}
NAMED = {
    "service": SERVICE,
    "node port": NODE_PORT,
    "balancer": BALANCER,
    "headless": HEADLESS,
    "external": EXTERNAL,
    "endpoints": ENDPOINTS,
    "slice": SLICE,
    "ingress": INGRESS,
    "class": CLASS,
    "policy": POLICY,
}
PATHS, BACKEND = "spec.rules[0].http.paths[0]", "spec/rules/0/http/paths/0/backend"
WRONG = [
    ("service", "spec/ports", [], "Required spec.ports"),
    ("service", "spec/ports/0/port", 0, "Invalid spec.ports[0].port; Invalid spec.ports[0].targetPort"),
    ("service", "spec/ports/0/protocol", "ICMP", "NotSupported spec.ports[0].protocol"),
    ("service", "spec/ports/0/name", "A", "Invalid spec.ports[0].name"),
    ("service", "spec/ports/0/targetPort", "a b", "Invalid spec.ports[0].targetPort"),
    ("service", "spec/ports/0/appProtocol", "a b", "Invalid spec.ports[0].appProtocol"),
    ("service", "spec/ports/0/nodePort", 30001, "Forbidden spec.ports[0].nodePort"),
    ("service", "spec/ports/1", {"port": 81}, "Required spec.ports[1].name"),
    ("service", "spec/ports/1", {"name": "http", "port": 81}, "Duplicate spec.ports[1].name"),
    ("service", "spec/ports/1", {"name": "b", "port": 80}, "Duplicate spec.ports[1]"),
    ("service", "spec/type", "Internal", "NotSupported spec.type"),
    ("service", "spec/selector", {"a b": "c"}, "Invalid spec.selector"),
    ("service", "spec/sessionAffinity", "Client", "NotSupported spec.sessionAffinity"),
    ("service", "spec/externalIPs", ["127.0.0.1"], "Invalid spec.externalIPs[0]"),
    ("service", "spec/externalIPs", ["x"], "Invalid spec.externalIPs[0]"),
    ("service", "spec/clusterIP", "x", "Invalid spec.clusterIPs[0]"),
    ("service", "spec/ipFamilies", ["IPv6"], "Invalid spec.clusterIPs[0]"),
    ("service", "spec/ipFamilies", ["IPv5"], "NotSupported spec.ipFamilies[0]"),
    ("service", "spec/ipFamilyPolicy", "Dual", "NotSupported spec.ipFamilyPolicy"),
    ("service", "spec/externalTrafficPolicy", "Local", "Invalid spec.externalTrafficPolicy"),
    ("service", "spec/internalTrafficPolicy", "Near", "NotSupported spec.internalTrafficPolicy"),
    ("service", "spec/healthCheckNodePort", 30001, "Invalid spec.healthCheckNodePort"),
    ("service", "spec/loadBalancerSourceRanges", ["10.0.0.0/8"], "Forbidden spec.LoadBalancerSourceRanges"),
    ("service", "spec/loadBalancerClass", "a", "Forbidden spec.loadBalancerClass"),
    ("service", "spec/allocateLoadBalancerNodePorts", True, "Forbidden spec.allocateLoadBalancerNodePorts"),
    ("service", "spec/trafficDistribution", "Near", "NotSupported spec.trafficDistribution"),
    ("node port", "spec/externalTrafficPolicy", "Near", "NotSupported spec.externalTrafficPolicy"),
    ("node port", "spec/clusterIP", "None", "Invalid spec.clusterIPs[0]"),
    ("balancer", "spec/loadBalancerSourceRanges", ["10.0.0.0"], "Invalid spec.LoadBalancerSourceRanges[0]"),
    ("external", "spec/externalName", None, "Required spec.externalName"),
    ("external", "spec/externalName", "a_b", "Invalid spec.externalName"),
    ("external", "spec/ipFamilies", ["IPv4"], "Forbidden spec.ipFamilies"),
    ("endpoints", "subsets/0/addresses/0/ip", "x", "Invalid subsets[0].addresses[0].ip"),
    ("endpoints", "subsets/0/addresses/0/ip", "127.0.0.1", "Invalid subsets[0].addresses[0].ip"),
    ("endpoints", "subsets/0/ports/0/port", 0, "Invalid subsets[0].ports[0].port"),
    ("endpoints", "subsets/0/ports/1", {"port": 81}, "Required subsets[0].ports[1].name"),
    ("endpoints", "subsets/0/addresses", [], "Required subsets[0]"),
    ("slice", "addressType", "IPv5", "NotSupported addressType"),
    ("slice", "endpoints/0/addresses", [], "Required endpoints[0].addresses"),
    ("slice", "endpoints/0/addresses/0", "fd00::1", "Invalid endpoints[0].addresses[0]"),
    ("slice", "endpoints/0/hostname", "A", "Invalid endpoints[0].hostname"),
    ("slice", "ports/1", {"name": "a", "port": 81}, "Duplicate ports[1].name"),
    ("slice", "ports/0/protocol", "ICMP", "NotSupported ports[0].protocol"),
    ("ingress", "spec/rules", None, "Invalid spec"),
    ("ingress", "spec/rules/0/host", "10.0.0.1", "Invalid spec.rules[0].host"),
    ("ingress", "spec/rules/0/host", "*.A", "Invalid spec.rules[0].host"),
    ("ingress", "spec/rules/0/http/paths", [], "Required spec.rules[0].http.paths"),
    ("ingress", "spec/rules/0/http/paths/0/pathType", None, f"Required {PATHS}.pathType"),
    ("ingress", "spec/rules/0/http/paths/0/pathType", "Regex", f"NotSupported {PATHS}.pathType"),
    ("ingress", "spec/rules/0/http/paths/0/path", "a", f"Invalid {PATHS}.path"),
    ("ingress", "spec/rules/0/http/paths/0/path", "/a//b", f"Invalid {PATHS}.path"),
    ("ingress", f"{BACKEND}/service/name", "", f"Required {PATHS}.backend.service.name"),
    ("ingress", f"{BACKEND}/service/port", {}, f"Required {PATHS}.backend"),
    ("ingress", f"{BACKEND}/service/port", {"number": 1, "name": "a"}, f"Invalid {PATHS}.backend"),
    ("ingress", BACKEND, {}, f"Invalid {PATHS}.backend"),
    ("ingress", "spec/tls", [{"hosts": ["a_b"]}], "Invalid spec.tls[0].hosts[0]"),
    ("ingress", "spec/ingressClassName", "A", "Invalid spec.ingressClassName"),
    ("class", "spec/controller", "a b", "Invalid spec.controller"),
    ("class", "spec/parameters", {"kind": "", "name": "n"}, "Required spec.parameters.kind"),
    (
        "policy",
        "spec/podSelector",
        {"matchExpressions": [{"key": "a", "operator": "Is"}]},
        "Invalid spec.podSelector.matchExpressions[0].operator",
    ),
    ("policy", "spec/policyTypes", ["Both"], "NotSupported spec.policyTypes[0]"),
    ("policy", "spec/ingress/0/from/0/ipBlock/cidr", "x", "Invalid spec.ingress[0].from[0].ipBlock.cidr"),
    ("policy", "spec/ingress/0/from/0/ipBlock/except", ["11.0.0.0/8"], "Invalid spec.ingress[0].from[0].ipBlock.except[0]"),
    ("policy", "spec/ingress/0/from/0/podSelector", {}, "Forbidden spec.ingress[0].from[0]"),
    ("policy", "spec/ingress/0/from/0", {}, "Required spec.ingress[0].from[0]"),
    ("policy", "spec/ingress/0/ports/0/endPort", 70, "Invalid spec.ingress[0].ports[0].endPort"),
    ("policy", "spec/ingress/0/ports/0/port", "http", "Invalid spec.ingress[0].ports[0].endPort"),
    ("policy", "spec/ingress/0/ports/0/protocol", "ICMP", "NotSupported spec.ingress[0].ports[0].protocol"),
]
FIXED = [
    ("service", "spec/clusterIP", "10.96.0.10", "Invalid spec.clusterIPs[0]"),
    ("service", "spec/selector", {"app": "b"}, ""),
    ("balancer", "spec/loadBalancerClass", "a.b/d", "Invalid spec.loadBalancerClass"),
    ("slice", "addressType", "IPv6", "Invalid addressType; Invalid endpoints[0].addresses[0]"),
    ("class", "spec/controller", "a.b/d", "Invalid spec.controller"),
    ("ingress", "spec/rules/0/host", "b.example.com", ""),
    ("policy", "spec/policyTypes", ["Egress"], ""),
]
WARNED = [
    ("headless", "spec/sessionAffinity", "ClientIP", "spec.SessionAffinity is ignored for headless services"),
    ("service", "spec/externalName", "a", 'spec.externalName is ignored when spec.type is not "ExternalName"'),
    (
        "service",
        "spec/externalIPs",
        ["FD00::1"],
        'spec.externalIPs[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
    ),
    ("ingress", "metadata/annotations", {"kubernetes.io/ingress.class": "a"}, "deprecated, please use 'spec.ingressClassName' instead"),
    ("policy", "spec/ingress/0/from/0/ipBlock/cidr", "10.0.0.1/8", "is ambiguous in this context"),
    ("endpoints", "subsets/0/addresses/0/ip", "FD00::1", "should be in RFC 5952 canonical format"),
]


@pytest.mark.parametrize("name", NAMED)
def test_the_manifests_are_right(create, name):
    assert create(NAMED[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, name, path, value, causes):
    assert "; ".join(create(NAMED[name], path, value)) == causes


@pytest.mark.parametrize(("name", "path", "value", "causes"), FIXED)
def test_some_of_it_stays_for_ever(update, name, path, value, causes):
    assert "; ".join(update(NAMED[name], path, value)) == causes


def test_who_writes_a_network_policy_is_told_that_nobody_enforces_it(warnings):
    assert warnings(NAMED["policy"]) == ["no network policy driver is enabled: this NetworkPolicy is kept, not enforced"]


@pytest.mark.parametrize(("name", "path", "value", "words"), WARNED)
def test_a_client_is_warned(warnings, name, path, value, words):
    assert any(words in text for text in warnings(NAMED[name], path, value))


def test_a_services_defaults(defaulted):
    spec = defaulted(SERVICE).spec
    assert (spec.type, spec.sessionAffinity, spec.ipFamilies, spec.ipFamilyPolicy) == ("ClusterIP", "None", ["IPv4"], "SingleStack")
    assert (spec.internalTrafficPolicy, spec.clusterIPs, spec.ports[0].targetPort) == ("Cluster", ["10.96.0.9"], 80)
    assert defaulted(NODE_PORT).spec.externalTrafficPolicy == "Cluster"
    assert defaulted(BALANCER).spec.allocateLoadBalancerNodePorts is True
    assert defaulted(SERVICE, "spec/sessionAffinity", "ClientIP").spec.sessionAffinityConfig.clientIP.timeoutSeconds == 10800


def test_a_policy_with_egress_rules_is_about_egress(defaulted):
    assert defaulted(POLICY).spec.policyTypes == ["Ingress"]
    assert defaulted(POLICY, "spec/egress", [{}]).spec.policyTypes == ["Ingress", "Egress"]
