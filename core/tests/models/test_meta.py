"""Metadata and conditions."""

from bareboat.models import apps_v1, core_v1, meta, meta_v1
from bareboat.models.scheme import Scheme


def test_keys_split_into_what_they_were_made_of():
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(namespace="ns", name="a"))
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n"))
    assert (meta.key(pod), meta.split_key(meta.key(pod))) == ("ns/a", ("ns", "a"))
    assert (meta.key(node), meta.split_key(meta.key(node))) == ("/n", ("", "n"))


def test_an_owner_is_recognised_by_its_uid():
    owner = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(name="rs", uid="u1"))
    reference = meta.owner_reference(owner, Scheme.builtin().by_type(apps_v1.ReplicaSet))
    pod = core_v1.Pod(metadata=meta_v1.ObjectMeta(ownerReferences=[meta_v1.OwnerReference(uid="u0"), reference]))
    assert meta.controller_of(pod.metadata) is reference
    assert meta.is_controlled_by(pod, owner)
    assert (reference.apiVersion, reference.kind, reference.blockOwnerDeletion) == ("apps/v1", "ReplicaSet", True)


def test_a_condition_keeps_its_transition_time_until_its_status_changes():
    conditions: list[core_v1.PodCondition] = []
    assert meta.set_condition(conditions, "Ready", "False", "Starting", "", "t1", core_v1.PodCondition)
    assert not meta.set_condition(conditions, "Ready", "False", "Starting", "", "t2")
    assert meta.set_condition(conditions, "Ready", "False", "Pulling", "", "t3")
    assert conditions[0].lastTransitionTime == "t1"
    assert meta.set_condition(conditions, "Ready", "True", "Up", "", "t4")
    assert (conditions[0].lastTransitionTime, len(conditions)) == ("t4", 1)
    assert meta.is_condition_true(conditions, "Ready")
    assert meta.get_condition(conditions, "Other") is None


def test_new_conditions_are_of_the_class_of_their_neighbours():
    conditions = [core_v1.NodeCondition(type="Ready")]
    meta.set_condition(conditions, "DiskPressure", "False", "", "", "t")
    assert isinstance(conditions[1], core_v1.NodeCondition)


def test_deletion_is_seen_by_its_timestamp():
    assert meta.is_being_deleted(core_v1.Pod(metadata=meta_v1.ObjectMeta(deletionTimestamp="t")))
    assert not meta.is_being_deleted(core_v1.Pod())
