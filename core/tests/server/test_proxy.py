"""Requests that are carried to pods: where they may go, and what of the client's they take along."""

import pytest

from bareboat.api.request import ApiRequest
from bareboat.base.ids import SeededIds
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import BadRequest
from bareboat.server.proxy import Proxy, forwarded, parted, split


class Pods:
    """A reader of one pod."""

    def __init__(self, address):
        containers = [{"name": "c", "image": "i", "ports": [{"containerPort": 8080, "name": "web"}]}]
        self.pod = from_tree(core_v1.Pod, {"metadata": {"name": "p"}, "spec": {"containers": containers}, "status": {"podIP": address}})

    def get(self, cls, name, namespace=""):
        return self.pod


def target(address, port=""):
    return Proxy(Pods(address), None, SeededIds(1))._pod("default", "p", port)


@pytest.mark.parametrize(("port", "found"), [("", "10.1.2.3:8080"), ("web", "10.1.2.3:8080"), ("9", "10.1.2.3:9")])
def test_a_pod_is_reached_at_its_address(port, found):
    assert target("10.1.2.3", port) == found


def test_addresses_of_version_six_are_in_brackets():
    assert target("fd00::7") == "[fd00::7]:8080"


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "not-an-address"])
def test_a_pod_s_status_does_not_lead_the_server_to_itself_or_its_neighbours(address):
    with pytest.raises(BadRequest, match="address not allowed"):
        target(address)


def test_credentials_and_claimed_identities_stay_here():
    headers = {"authorization": "Bearer t", "impersonate-user": "a", "x-remote-user": "root", "host": "h", "accept": "a/b", "x-own": "1"}
    kept = forwarded(ApiRequest(UserInfo(name="u"), "GET", "/a/b c", remote="1.2.3.4", headers=headers))
    said = {"x-forwarded-for": "1.2.3.4", "x-forwarded-uri": "/a/b%20c", "accept-encoding": "identity"}
    assert kept == {"accept": "a/b", "x-own": "1"} | said


@pytest.mark.parametrize(
    ("name", "parts"), [("p", ("", "p", "")), ("p:80", ("", "p", "80")), ("https:p:web", ("https", "p", "web")), (":p:1", ("", "p", "1"))]
)
def test_scheme_name_and_port_are_told_apart(name, parts):
    assert split(name) == parts


def test_a_name_of_another_form_is_refused():
    with pytest.raises(BadRequest, match="invalid service request"):
        split("ftp:p:1")


def test_a_namespace_may_be_called_as_the_subresource_is():
    path = "/api/v1/namespaces/proxy/pods/p:80/proxy"
    assert parted(f"{path}/x/proxy/y", "pods", "p:80") == (path, "/x/proxy/y")
    assert parted(path, "pods", "p:80") == (path, "")
