"""What an agent writes of a status: only what it changed."""

from bareboat.node.status_patch import difference


def test_nothing_to_say_is_no_patch():
    assert difference({"phase": "Running", "conditions": [{"type": "A"}]}, {"phase": "Running", "conditions": [{"type": "A"}]}) == {}


def test_only_changed_conditions_are_sent_and_those_of_others_are_not_named():
    before = {"conditions": [{"type": "Gate", "status": "True"}, {"type": "Ready", "status": "False", "reason": "Because"}]}
    after = {"conditions": [{"type": "Gate", "status": "True"}, {"type": "Ready", "status": "True"}]}
    assert difference(before, after) == {"conditions": [{"type": "Ready", "status": "True", "reason": None}]}


def test_what_is_gone_is_removed():
    before = {"reason": "X", "conditions": [{"type": "PodResizePending", "status": "True"}], "podIPs": [{"ip": "10.0.0.1"}]}
    after = {"conditions": [], "podIPs": [{"ip": "10.0.0.2"}]}
    assert difference(before, after) == {
        "conditions": [{"$patch": "delete", "type": "PodResizePending"}],
        "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}],
        "reason": None,
    }


def test_lists_without_a_key_are_replaced():
    assert difference({"containerStatuses": [{"name": "a"}]}, {"containerStatuses": [{"name": "b"}]}) == {
        "containerStatuses": [{"name": "b"}]
    }
