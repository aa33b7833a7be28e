"""Which address belongs to whom."""

import pytest

from bareboat.contracts.cni import Attachment
from bareboat.contracts.errors import Exhausted, InvalidConfig
from bareboat_cni_bridge.addresses import AddressBook


def attachment(name):
    return Attachment(container_id=name, netns="/run/netns/none")


class TestAddresses:
    def test_an_address_is_kept_over_a_restart_and_given_once(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        book.use("10.1.0.0/29")
        first = book.take("a/eth0", attachment("a"), "bva")
        again = AddressBook(tmp_path / "a.json")
        assert again.leases["a/eth0"] == first
        assert again.take("a/eth0", attachment("a"), "bva").address == first.address
        assert again.take("b/eth0", attachment("b"), "bvb").address != first.address

    def test_a_full_pool_says_so_and_a_released_address_comes_back(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        book.use("10.1.0.0/29")
        for i in range(5):
            book.take(f"{i}/eth0", attachment(str(i)), f"bv{i}")
        with pytest.raises(Exhausted) as caught:
            book.take("x/eth0", attachment("x"), "bvx")
        assert caught.value.reason == "AddressesExhausted"
        book.release("2/eth0")
        assert book.take("x/eth0", attachment("x"), "bvx").address == "10.1.0.4"

    def test_a_changed_or_bad_pool_is_refused(self, tmp_path):
        book = AddressBook(tmp_path / "a.json")
        with pytest.raises(InvalidConfig):
            book.use("10.1.0.1/8")
        book.use("10.1.0.0/24")
        book.take("a/eth0", attachment("a"), "bva")
        with pytest.raises(InvalidConfig, match="while 1 addresses are in use"):
            book.use("10.2.0.0/24")
