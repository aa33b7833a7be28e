"""resource.k8s.io: claims to devices, their classes, and the slices that offer them."""

import pytest

SPACE = {"name": "a", "namespace": "default"}
REQUEST = {"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}


def _of(kind, meta, spec):
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}


NAMED = {
    "claim": _of("ResourceClaim", SPACE, {"devices": {"requests": [REQUEST]}}),
    "template": _of("ResourceClaimTemplate", SPACE, {"spec": {"devices": {"requests": [REQUEST]}}}),
    "class": _of("DeviceClass", {"name": "a"}, {"selectors": [{"cel": {"expression": "device.driver == 'a'"}}]}),
    "slice": _of(
        "ResourceSlice",
        {"name": "a"},
        {
            "driver": "gpu.example.com",
            "nodeName": "n",
            "pool": {"name": "p", "resourceSliceCount": 1},
            "devices": [{"name": "d0", "attributes": {"model": {"string": "x"}}, "capacity": {"memory": {"value": "1Gi"}}}],
        },
    ),
}
R, AT = "spec/devices/requests/0", "spec.devices.requests[0]"
WRONG = [
    ("claim", f"{R}/name", "", f"Invalid {AT}.name"),
    ("claim", f"{R}/exactly", None, f"Required {AT}"),
    ("claim", f"{R}/exactly/deviceClassName", "", f"Required {AT}.exactly.deviceClassName"),
    ("claim", f"{R}/exactly/allocationMode", "Some", f"NotSupported {AT}.exactly.allocationMode"),
    ("claim", f"{R}/exactly/count", -1, f"Invalid {AT}.exactly.count"),
    ("claim", f"{R}/exactly/selectors", [{"cel": {"expression": "device."}}], f"Invalid {AT}.exactly.selectors[0].cel.expression"),
    ("claim", "spec/devices/requests/1", REQUEST, "Duplicate spec.devices.requests[1]"),
    (
        "claim",
        "spec/devices/config",
        [{"requests": ["tpu"]}],
        "Invalid spec.devices.config[0].requests[0]; Required spec.devices.config[0].opaque",
    ),
    ("claim", "spec/devices/constraints", [{"requests": ["gpu"]}], "Required spec.devices.constraints[0]"),
    ("template", "spec/spec/devices/requests/0/name", "A", "Invalid spec.spec.devices.requests[0].name"),
    ("class", "spec/selectors", [{}], "Required spec.selectors[0].cel"),
    ("slice", "spec/driver", "", "Required spec.driver"),
    ("slice", "spec/pool/name", "", "Required spec.pool.name"),
    ("slice", "spec/pool/resourceSliceCount", 0, "Invalid spec.pool.resourceSliceCount"),
    ("slice", "spec/nodeName", None, "Required spec"),
    ("slice", "spec/allNodes", True, "Invalid spec"),
    ("slice", "spec/devices/1", {"name": "d0"}, "Duplicate spec.devices[1]"),
    ("slice", "spec/devices/0/name", "A", "Invalid spec.devices[0].name"),
    ("slice", "spec/devices/0/attributes/model", {}, "Invalid spec.devices[0].attributes[model]"),
]
FIXED = [
    ("claim", f"{R}/exactly/deviceClassName", "tpu.example.com", "Invalid spec"),
    ("template", "spec/spec/devices/requests/0/exactly/deviceClassName", "tpu.example.com", "Invalid spec"),
    ("slice", "spec/driver", "tpu.example.com", "Invalid spec.driver"),
    ("slice", "spec/nodeName", "m", "Invalid spec.nodeName"),
    ("slice", "spec/pool/name", "q", "Invalid spec.pool.name"),
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


def test_a_request_is_for_one_device(defaulted):
    request = defaulted(NAMED["claim"]).spec.devices.requests[0].exactly
    assert (request.allocationMode, request.count) == ("ExactCount", 1)
