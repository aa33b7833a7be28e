"""One etcd for all tests here, a prefix for each test."""

from bareboat.testing.etcd import etcd

__all__ = ["etcd"]
