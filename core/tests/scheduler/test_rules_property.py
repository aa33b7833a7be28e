"""The vectorised filters say the same about every node as a naive reference that looks at one node and every pod, on random clusters."""

import random

import numpy as np
import pytest

from bareboat.base.ids import SeededIds
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.node_fit import matches_node, tolerated
from bareboat.models.selectors import from_label_selector
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.filters import Surroundings
from bareboat.scheduler.placed import PlacedPod
from bareboat.scheduler.placement import Placement
from bareboat.scheduler.requests import amounts, pod_use

ZONE, HOST, RACK = "zone", "host", "rack"
SPACES = {"blue": {"team": "a"}, "green": {"team": "b"}, "red": {}}


class Cluster:
    """Random nodes and pods; what is not drawn is left out."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.columns = Columns(capacity=2)
        self.nodes, self.placed, self.count = [], [], 0
        for number in range(self.draw.randint(1, 12)):
            self.add_node(f"n{number}")
        for number in range(self.draw.randint(0, 30)):
            self.add_pod(f"old{number}")

    def maybe(self, share=0.5):
        return self.draw.random() < share

    def add_node(self, name):
        labels = {HOST: name}
        if self.maybe(0.9):
            labels[ZONE] = self.draw.choice("abc")
        if self.maybe(0.7):
            labels[RACK] = self.draw.choice("xy")
        taints = (
            [{"key": self.draw.choice("kl"), "value": "v", "effect": self.draw.choice(["NoSchedule", "PreferNoSchedule"])}]
            if self.maybe(0.3)
            else []
        )
        room = {"cpu": str(self.draw.randint(1, 4)), "memory": "4Gi", "pods": str(self.draw.choice([3, 10]))}
        if self.maybe(0.3):
            room["example.com/thing"] = "2"
        spec = {"taints": taints, "unschedulable": self.maybe(0.1)}
        node = from_tree(core_v1.Node, {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": room}})
        self.nodes.append(node)
        self.columns.put_node(node)

    def add_pod(self, name):
        pod = self.pod(name)
        pod.spec.nodeName = self.draw.choice(self.nodes).metadata.name
        if self.maybe(0.1):
            pod.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
        self.placed.append(pod)
        self.columns.put_pod(PlacedPod(f"{pod.metadata.namespace}/{name}", pod, pod_use(pod)))

    def churn(self):
        """Remove and add some, so that what is kept up incrementally is tested."""
        for pod in [p for p in self.placed if self.maybe(0.3)]:
            self.placed.remove(pod)
            self.columns.remove_pod(f"{pod.metadata.namespace}/{pod.metadata.name}")
        if len(self.nodes) > 1 and self.maybe():
            gone = self.nodes.pop(self.draw.randrange(len(self.nodes)))
            self.columns.remove_node(gone.metadata.name)
            if self.maybe():
                self.nodes.append(gone)
                self.columns.put_node(gone)
        for _ in range(self.draw.randint(0, 5)):
            self.count += 1
            self.add_pod(f"new{self.count}")

    def selector(self):
        if self.maybe(0.7):
            return {"matchLabels": {"app": self.draw.choice("pqr")}}
        return {"matchExpressions": [{"key": "app", "operator": self.draw.choice(["Exists", "DoesNotExist"])}]}

    def term(self):
        term = {"topologyKey": self.draw.choice([ZONE, HOST, RACK]), "labelSelector": self.selector()}
        if self.maybe(0.3):
            term["namespaces"] = [self.draw.choice(list(SPACES))]
        if self.maybe(0.3):
            term["namespaceSelector"] = self.draw.choice([{}, {"matchLabels": {"team": "a"}}])
        if self.maybe(0.2):
            term["matchLabelKeys"] = ["version"]
        return term

    def spread(self):
        wanted = {"maxSkew": self.draw.randint(1, 2), "topologyKey": self.draw.choice([ZONE, HOST, RACK]), "labelSelector": self.selector()}
        wanted["whenUnsatisfiable"] = "DoNotSchedule"
        if self.maybe(0.3):
            wanted["minDomains"] = self.draw.randint(1, 4)
        if self.maybe(0.3):
            wanted["nodeAffinityPolicy"] = "Ignore"
        if self.maybe(0.3):
            wanted["nodeTaintsPolicy"] = "Honor"
        if self.maybe(0.2):
            wanted["matchLabelKeys"] = ["version"]
        return wanted

    def pod(self, name):
        labels = {"app": self.draw.choice("pqr")} if self.maybe(0.9) else {}
        labels["version"] = self.draw.choice("12")
        affinity = {}
        for kind in ("podAffinity", "podAntiAffinity"):
            if self.maybe(0.25):
                affinity[kind] = {"requiredDuringSchedulingIgnoredDuringExecution": [self.term() for _ in range(self.draw.randint(1, 2))]}
        if self.maybe(0.2):
            chosen = {"key": ZONE, "operator": self.draw.choice(["In", "NotIn"]), "values": [self.draw.choice("abc")]}
            required = {"nodeSelectorTerms": [{"matchExpressions": [chosen]}]}
            affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": required}
        requests = {"cpu": self.draw.choice(["100m", "500m", "2"])}
        if self.maybe(0.1):
            requests["example.com/thing"] = "1"
        ports = (
            [{"hostPort": self.draw.choice([80, 81]), "containerPort": 80, "hostIP": self.draw.choice(["", "10.0.0.1", "10.0.0.2"])}]
            if self.maybe(0.2)
            else []
        )
        container = {"name": "c", "image": "i", "resources": {"requests": requests}, "ports": ports}
        spec = {"containers": [container], "affinity": affinity or None}
        spec["tolerations"] = [{"key": self.draw.choice("kl"), "operator": "Exists"}] if self.maybe(0.3) else []
        spec["topologySpreadConstraints"] = [self.spread() for _ in range(self.draw.randint(1, 2))] if self.maybe(0.3) else []
        meta = {"name": name, "namespace": self.draw.choice(list(SPACES)), "labels": labels}
        return from_tree(core_v1.Pod, {"metadata": meta, "spec": spec})


class Reference:
    """One pod, one node, in plain words."""

    def __init__(self, cluster, pod):
        self.nodes, self.pod = cluster.nodes, pod
        self.on = {n.metadata.name: [p for p in cluster.placed if p.spec.nodeName == n.metadata.name] for n in cluster.nodes}

    def fits(self, node):
        return all(
            rule(node) for rule in (self.facts, self.room, self.ports, self.spread, self.affinity, self.anti_affinity, self.existing)
        )

    def facts(self, node):
        return not node.spec.unschedulable and self.accepted(node) and self.selected(node)

    def accepted(self, node):
        return all(tolerated(t, self.pod.spec.tolerations) for t in node.spec.taints if t.effect != "PreferNoSchedule")

    def selected(self, node):
        affinity = self.pod.spec.affinity.nodeAffinity if self.pod.spec.affinity else None
        return matches_node(self.pod.spec.nodeSelector, affinity, node)

    def room(self, node):
        offered = amounts(node.status.allocatable)
        pods = [*self.on[node.metadata.name], self.pod]
        return all(sum(pod_use(p).requests.get(r, 0) for p in pods) <= offered.get(r, 0) for r in pod_use(self.pod).requests)

    def ports(self, node):
        def wanted(pod):
            return [(p.hostIP or "*", p.protocol or "TCP", p.hostPort) for c in pod.spec.containers for p in c.ports if p.hostPort]

        taken = [port for p in self.on[node.metadata.name] for port in wanted(p)]
        return not any(a[1:] == b[1:] and (a[0] == b[0] or "*" in (a[0], b[0])) for a in wanted(self.pod) for b in taken)

    def means(self, term, owner, pod):
        spaces = set(term.namespaces)
        if term.namespaceSelector is not None:
            spaces |= {n for n, labels in SPACES.items() if from_label_selector(term.namespaceSelector).matches(labels)}
        if not term.namespaces and term.namespaceSelector is None:
            spaces = {owner.metadata.namespace}
        same = all(pod.metadata.labels.get(k) == owner.metadata.labels[k] for k in term.matchLabelKeys)
        return same and pod.metadata.namespace in spaces and from_label_selector(term.labelSelector).matches(pod.metadata.labels)

    def in_domain(self, key, value):
        return [p for n in self.nodes if n.metadata.labels.get(key) == value for p in self.on[n.metadata.name]]

    def terms(self, pod, kind):
        rules = getattr(pod.spec.affinity, kind) if pod.spec.affinity else None
        return rules.requiredDuringSchedulingIgnoredDuringExecution if rules else []

    def affinity(self, node):
        terms = self.terms(self.pod, "podAffinity")
        if any(t.topologyKey not in node.metadata.labels for t in terms):
            return False

        def all_mean(pod):
            return all(self.means(t, self.pod, pod) for t in terms)

        if all(any(all_mean(p) for p in self.in_domain(t.topologyKey, node.metadata.labels[t.topologyKey])) for t in terms):
            return True
        somewhere = any(
            all_mean(p) for n in self.nodes for p in self.on[n.metadata.name] if any(t.topologyKey in n.metadata.labels for t in terms)
        )
        return not somewhere and all_mean(self.pod)

    def anti_affinity(self, node):
        for term in self.terms(self.pod, "podAntiAffinity"):
            value = node.metadata.labels.get(term.topologyKey)
            if value is not None and any(self.means(term, self.pod, p) for p in self.in_domain(term.topologyKey, value)):
                return False
        return True

    def existing(self, node):
        for other in self.nodes:
            for placed in self.on[other.metadata.name]:
                for term in self.terms(placed, "podAntiAffinity"):
                    value = other.metadata.labels.get(term.topologyKey)
                    if value is not None and node.metadata.labels.get(term.topologyKey) == value and self.means(term, placed, self.pod):
                        return False
        return True

    def spread(self, node):
        constraints = self.pod.spec.topologySpreadConstraints
        return all(self.even(c, constraints, node) for c in constraints)

    def even(self, c, constraints, node):
        if c.topologyKey not in node.metadata.labels:
            return False

        def selects(pod):
            same = all(pod.metadata.labels.get(k) == self.pod.metadata.labels[k] for k in c.matchLabelKeys)
            return same and from_label_selector(c.labelSelector).matches(pod.metadata.labels)

        counts = {}
        for other in self.nodes:
            labelled = all(k.topologyKey in other.metadata.labels for k in constraints)
            if not labelled or (c.nodeAffinityPolicy != "Ignore" and not self.selected(other)):
                continue
            if c.nodeTaintsPolicy == "Honor" and not self.accepted(other):
                continue
            pods = [p for p in self.on[other.metadata.name] if p.metadata.namespace == self.pod.metadata.namespace]
            found = sum(1 for p in pods if selects(p) and not p.metadata.deletionTimestamp)
            domain = other.metadata.labels[c.topologyKey]
            counts[domain] = counts.get(domain, 0) + found
        least = 0 if len(counts) < (c.minDomains or 1) else min(counts.values(), default=0)
        return counts.get(node.metadata.labels[c.topologyKey], 0) + int(selects(self.pod)) - least <= c.maxSkew


@pytest.mark.parametrize("block", range(10))
def test_every_node_is_judged_as_the_reference_does(block):
    for seed in range(block * 30, block * 30 + 30):
        cluster = Cluster(seed)
        around = Surroundings()
        around.namespaces = SPACES
        placement = Placement(cluster.columns, [], SeededIds(seed), around)
        for round_ in range(4):
            pod = cluster.pod(f"p{round_}")
            verdict = placement.judge(placement.filters.ask(f"x/p{round_}", pod, pod_use(pod)))
            reference = Reference(cluster, pod)
            by_name = {n.metadata.name: n for n in cluster.nodes}
            expected = [reference.fits(by_name[name]) for name in cluster.columns.names]
            assert verdict.fits.tolist() == expected, (seed, round_)
            placement.decide(pod, pod_use(pod), f"x/p{round_}")
            cluster.churn()
        on = Reference(cluster, pod).on
        for resource, row in cluster.columns.arrays().requested.items():
            assert np.allclose(row, [sum(pod_use(p).requests.get(resource, 0.0) for p in on[name]) for name in cluster.columns.names])
