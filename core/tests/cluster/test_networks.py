"""Clusters on one machine choose networks that nobody else has, also before their first pod makes a route."""

import pytest

from bareboat.cluster import networks
from bareboat.cluster.errors import ClusterError
from bareboat.cluster.file.shape import Networking


@pytest.fixture
def choose(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "CHOSEN", tmp_path / "run" / "networks.json")
    monkeypatch.setattr(networks, "taken", list)

    def choose(name):
        (tmp_path / name).mkdir(exist_ok=True)
        found = networks.free_defaults(Networking(), tmp_path / name)
        return found.podCIDR, found.serviceCIDR

    return choose


def test_every_cluster_gets_its_own(choose):
    assert [choose(name) for name in "abc"] == [
        ("10.244.0.0/16", "10.96.0.0/16"),
        ("10.243.0.0/16", "10.97.0.0/16"),
        ("10.242.0.0/16", "10.98.0.0/16"),
    ]


def test_a_cluster_keeps_what_it_has(choose):
    assert choose("a") == choose("a")


def test_what_a_purged_cluster_had_is_free_again(choose, tmp_path):
    first = choose("a")
    (tmp_path / "a").rmdir()
    assert choose("b") == first


def test_a_broken_file_is_begun_anew(choose, tmp_path):
    choose("a")
    (tmp_path / "run" / "networks.json").write_bytes(b'{"a": ["10.')
    assert choose("b") == ("10.244.0.0/16", "10.96.0.0/16")


def test_a_full_machine_says_what_to_do(choose):
    for number in range(32):
        choose(f"c{number}")
    with pytest.raises(ClusterError, match="name one in the cluster file"):
        choose("more")
