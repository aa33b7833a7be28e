"""The quality of service follows from what containers request and what they are limited to."""

import pytest

from bareboat.api.kinds.core.pods import qos_class
from bareboat.models import core_v1

FULL = {"cpu": "1", "memory": "1Gi"}


def container(requests=None, limits=None):
    resources = core_v1.ResourceRequirements(requests=requests or {}, limits=limits or {})
    return core_v1.Container(name="c", resources=resources)


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container()], "BestEffort"),
        ([container({"cpu": "0"}, {"memory": "0"})], "BestEffort"),
        ([container({"example.com/gpu": "1"}, {"example.com/gpu": "1"})], "BestEffort"),
        ([container(FULL, FULL)], "Guaranteed"),
        ([container(None, FULL)], "Guaranteed"),
        ([container({"cpu": "1000m", "memory": "1024Mi"}, FULL)], "Guaranteed"),
        ([container({"cpu": "0"}, FULL)], "Guaranteed"),
        ([container(FULL, {"cpu": "1"})], "Burstable"),
        ([container({"cpu": "500m", "memory": "1Gi"}, FULL)], "Burstable"),
        ([container({"cpu": "1.0000001"}, {"cpu": "1.0000002", "memory": "1Gi"})], "Burstable"),
        ([container(FULL, FULL), container()], "Burstable"),
        ([container(), container({"memory": "1"})], "Burstable"),
    ],
)
def test_quality_of_service(containers, expected):
    assert qos_class(core_v1.PodSpec(containers=containers)) == expected
    assert qos_class(core_v1.PodSpec(containers=containers[:1], initContainers=containers[1:])) == expected
